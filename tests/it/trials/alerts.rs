//! The alerts on backups are raised by what they are for, and by nothing else.

use std::process::Command;

#[test]
fn alerts_are_raised_by_what_they_are_for() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/dashboards/alerts");
    for args in [
        ["check", "rules", "backups.yml"],
        ["test", "rules", "backups_test.yml"],
    ] {
        let told = Command::new("promtool")
            .args(args)
            .current_dir(folder)
            .output()
            .expect("promtool is not installed: `scripts/services up` does so");
        let (out, err) = (
            String::from_utf8_lossy(&told.stdout),
            String::from_utf8_lossy(&told.stderr),
        );
        assert!(told.status.success(), "{out}{err}");
    }
}
