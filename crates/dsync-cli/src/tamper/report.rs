//! The table of results and the verdict.

use std::process::ExitCode;

use super::{
    cases::{Case, Expect},
    wire::Reply,
};
use crate::{
    failure::{NO, USAGE},
    output::say,
};

pub(super) struct Report {
    exact: bool,
    cases: u32,
    as_expected: u32,
    warnings: u32,
    forgeries: u32,
    genuine: u32,
    genuine_rejected: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    Warning(&'static str),
    Forgery,
}

impl Report {
    pub(super) fn new(exact: bool) -> Self {
        Self {
            exact,
            cases: 0,
            as_expected: 0,
            warnings: 0,
            forgeries: 0,
            genuine: 0,
            genuine_rejected: 0,
        }
    }

    pub(super) fn group(&mut self, name: &str) {
        say("");
        say(format!("{name:<44} {:<10} {:<10}", "expected", "received"));
    }

    pub(super) fn row(&mut self, case: &Case, reply: Reply) {
        let expected = match case.expect {
            Expect::Genuine => "2xx (200)".to_owned(),
            Expect::Malformed(status) | Expect::Forged(status) => format!("4xx ({status})"),
        };
        let verdict = judge(case.expect, reply, self.exact);
        self.cases += 1;
        let text = match verdict {
            Verdict::Ok => {
                self.as_expected += 1;
                "ok"
            }
            Verdict::Warning(text) => {
                self.warnings += 1;
                text
            }
            Verdict::Forgery => {
                self.forgeries += 1;
                "FORGERY ACCEPTED"
            }
        };
        if case.expect == Expect::Genuine {
            self.genuine += 1;
            self.genuine_rejected += u32::from(!is_success(reply));
        }
        say(format!("  {:<42} {expected:<10} {reply:<10} {text}", case.name));
    }

    pub(super) fn end(&self) -> ExitCode {
        say("");
        say(format!(
            "{} requests: {} as expected, {} warnings, {} forgeries accepted",
            self.cases, self.as_expected, self.warnings, self.forgeries
        ));
        if self.forgeries > 0 {
            say("Anyone can forge deliveries to this endpoint without knowing the secret.");
            return ExitCode::from(NO);
        }
        if self.genuine > 0 && self.genuine == self.genuine_rejected {
            say(
                "Every genuine delivery was rejected, so the rejections prove nothing: check the secret and the URL.",
            );
            return ExitCode::from(USAGE);
        }
        ExitCode::from(if self.exact && self.warnings > 0 { NO } else { 0 })
    }
}

fn judge(expect: Expect, reply: Reply, exact: bool) -> Verdict {
    let (status, forged) = match expect {
        Expect::Genuine if is_success(reply) => return Verdict::Ok,
        Expect::Genuine => return Verdict::Warning("warning: genuine, but rejected"),
        Expect::Forged(status) => (status, true),
        Expect::Malformed(status) => (status, false),
    };
    match reply {
        _ if is_success(reply) && forged => Verdict::Forgery,
        _ if is_success(reply) => Verdict::Warning("warning: accepted"),
        Reply::Status(came) if exact && came != status => {
            Verdict::Warning("warning: a different status")
        }
        Reply::Status(400..500) => Verdict::Ok,
        Reply::Status(500..) => Verdict::Warning("warning: rejected with a server error"),
        Reply::Status(_) => Verdict::Warning("warning: neither accepted nor rejected"),
        Reply::Closed if exact => Verdict::Warning("warning: no response"),
        Reply::Closed if forged => Verdict::Warning("warning: no response; did the handler crash?"),
        Reply::Closed => Verdict::Ok,
        Reply::Silence(_) => Verdict::Warning("warning: no response in time"),
        Reply::NotHttp => Verdict::Warning("warning: the response is not HTTP"),
    }
}

fn is_success(reply: Reply) -> bool {
    matches!(reply, Reply::Status(200..300))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_accepted_forgery_is_reported_as_one() {
        let judge = |expect, status| judge(expect, Reply::Status(status), false);
        assert!(judge(Expect::Forged(401), 200) == Verdict::Forgery);
        assert!(judge(Expect::Forged(401), 204) == Verdict::Forgery);
        assert!(judge(Expect::Forged(401), 403) == Verdict::Ok);
        assert!(judge(Expect::Malformed(400), 200) == Verdict::Warning("warning: accepted"));
        assert!(judge(Expect::Genuine, 201) == Verdict::Ok);
        assert!(judge(Expect::Genuine, 401) == Verdict::Warning("warning: genuine, but rejected"));
        assert!(matches!(judge(Expect::Forged(401), 500), Verdict::Warning(_)));
        assert!(matches!(judge(Expect::Forged(401), 302), Verdict::Warning(_)));
    }
}
