// Events as WorkOS sends them. Times are milliseconds.

import { createHash } from "node:crypto";

let events = 0;

/** An id that looks like those of WorkOS, from a number. */
export function ulid(number) {
  const bytes = [...createHash("sha256").update(String(number)).digest().subarray(0, 20)];
  return `01KBQ7${bytes.map((byte) => "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[byte % 32]).join("")}`;
}

export const event = (name, at, data) => {
  events += 1;
  return { object: "event", id: `event_${ulid(events)}`, event: `dsync.${name}`, created_at: iso(at), data };
};

export const iso = (at) => new Date(at).toISOString();

export const directory = (id, name, at, fields = {}) => ({
  object: "directory", id, organization_id: `org_${id}`, name, state: "active", type: "okta scim v2.0", domains: [],
  created_at: iso(at), updated_at: iso(at), ...fields,
});

export const user = (id, directory, at, fields = {}) => ({
  object: "directory_user", id, directory_id: directory, organization_id: `org_${directory}`, idp_id: `idp_${id}`,
  email: `${id}@example.com`, first_name: "Ada", last_name: `Quint ${id}`, state: "active", custom_attributes: {},
  created_at: iso(at), updated_at: iso(at), ...fields,
});

export const group = (id, directory, at, fields = {}) => ({
  object: "directory_group", id, directory_id: directory, organization_id: `org_${directory}`, idp_id: `idp_${id}`,
  name: `Group ${id}`, created_at: iso(at), updated_at: iso(at), ...fields,
});

export const membership = (user, group) => ({ directory_id: user.directory_id, user, group });
