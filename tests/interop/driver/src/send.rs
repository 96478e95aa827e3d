//! The SDKs sign; the server accepts what is genuine and nothing else.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use workos::helpers::webhook_verification::compute_webhook_signature;

use crate::{
    Failure, OTHER_SECRET, SECRET, Tally, bodies,
    process::{Sdk, Server},
};

/// What is done to a delivery before it is sent, and the status that answers it.
const FORGERIES: [(&str, u16); 6] = [
    ("a byte of the body changed", 401),
    ("a digit of the signature changed", 401),
    ("signed with another secret", 401),
    ("signed 181 s ago", 401),
    ("signed 190 s ahead", 401),
    ("without the header", 401),
];

const SIGNERS: [&str; 4] = ["node SDK", "python SDK", "workos crate", "emulator"];

pub fn all(
    node: &mut Sdk,
    python: &mut Sdk,
    server: &mut Server,
    tally: &mut Tally,
) -> Result<(), Failure> {
    for who in SIGNERS {
        let mut sign =
            |body: &str, secret: &str, offset: i64| -> Result<(String, String), Failure> {
                let time = (now()? + offset).to_string();
                let mut request =
                    json!({"action": "sign", "secret": secret, "time": time, "body": body});
                let answer = match who {
                    "node SDK" => node.ask(&request)?,
                    "python SDK" => python.ask(&request)?,
                    "emulator" => {
                        request["action"] = "emulator_sign".into();
                        node.ask(&request)?
                    }
                    _ => {
                        let signature = compute_webhook_signature(secret, &time, body);
                        json!({"header": format!("t={time}, v1={signature}"), "body": body})
                    }
                };
                let text =
                    |key: &str| answer[key].as_str().map(str::to_owned).ok_or(answer.to_string());
                Ok((text("header")?, text("body")?))
            };
        for body in bodies::all() {
            let (header, text) = sign(&body.text, SECRET, 0)?;
            let status = deliver(&server.url, Some(&header), &text)?;
            let printed = server.printed().iter().any(|line| line.contains(&body.id));
            let result = format!("{status}, {}", if printed { "handled" } else { "not handled" });
            tally.check(who, &body.name, status == 200 && printed, &result);
        }
        for (forgery, expected) in FORGERIES {
            let body =
                r#"{"id":"event_FORGED","event":"dsync.deleted","data":{"id":"directory_1"}}"#;
            let (secret, offset) = match forgery {
                "signed with another secret" => (OTHER_SECRET, 0),
                "signed 181 s ago" => (SECRET, -181_000),
                "signed 190 s ahead" => (SECRET, 190_000),
                _ => (SECRET, 0),
            };
            let (mut header, mut text) = sign(body, secret, offset)?;
            let mut given = true;
            match forgery {
                "a byte of the body changed" => text = text.replace("directory_1", "directory_2"),
                "a digit of the signature changed" => {
                    let digit = if header.ends_with('0') { '1' } else { '0' };
                    header.pop();
                    header.push(digit);
                }
                "without the header" => given = false,
                _ => {}
            }
            let status = deliver(&server.url, given.then_some(&header), &text)?;
            let handled = !server.printed().is_empty();
            let result = format!("{status}, {}", if handled { "handled" } else { "not handled" });
            tally.check(who, forgery, status == expected && !handled, &result);
        }
    }
    // The emulator does not know Directory Sync's names; what it delivers is genuine all the same.
    let answer =
        node.ask(&json!({"action": "emulator_deliver", "secret": SECRET, "url": server.url}))?;
    let printed = server.printed();
    let handled = answer["ok"] == Value::Bool(true)
        && printed.iter().any(|line| line.starts_with("user.created "));
    tally.check("emulator", "its own delivery of user.created", handled, &printed.join("; "));
    Ok(())
}

pub fn now() -> Result<i64, Failure> {
    Ok(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}

/// Returns the status of the answer.
fn deliver(url: &str, header: Option<&String>, body: &str) -> Result<u16, Failure> {
    let mut request = ureq::post(url).config().http_status_as_error(false).build();
    if let Some(header) = header {
        request = request.header("workos-signature", header);
    }
    Ok(request.send(body)?.status().as_u16())
}
