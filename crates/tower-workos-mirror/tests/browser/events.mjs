// Events as WorkOS sends them. Times are milliseconds.

let events = 0;

export const event = (name, at, data) => {
  events += 1;
  const id = `event_01${String(events).padStart(24, "0")}`;
  return { object: "event", id, event: `dsync.${name}`, created_at: iso(at), data };
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
