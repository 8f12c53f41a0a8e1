//! Who acts: whoever the operating system says.

use std::os::unix::fs::MetadataExt as _;

use windlass::Client;
use windlass::engine::Operator;

/// Acts in the name of the process's user, who is in the audit log as `jobctl:<user>`.
pub(super) fn operator(client: &Client, reason: Option<&str>) -> Operator {
    client.operator(&name(), reason)
}

/// As the audit log has it.
pub(super) fn name() -> String {
    format!("jobctl:{}", user())
}

fn user() -> String {
    let Ok(process) = std::fs::metadata("/proc/self") else {
        return "unknown".to_owned();
    };
    let uid = process.uid().to_string();
    let known = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = known.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    });
    named.unwrap_or(uid)
}
