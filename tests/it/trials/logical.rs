//! A dump of the platform's database, tried at every level.

use metachat_jobs::backups::{Evidence, Level, Verdict};

use super::rig::Rig;
use crate::support;

#[tokio::test]
async fn a_dump_is_restored_compared_and_started_on() {
    support::with_postgres(async |url| {
        let rig = Rig::new(url, &[]).await;
        let backup = rig.backup(&[], |_| {}).await;
        let evidence = rig.verify(&backup.id, Level::Started).await;
        assert_eq!(evidence.reason, None);
        assert_eq!(
            (evidence.outcome, evidence.level),
            (Verdict::Passed, Level::Started)
        );
        let rows: u64 = backup.rows.values().sum();
        assert!(
            backup.rows["public.messages"] == 2000 && rows > 2000,
            "{:?}",
            backup.rows
        );
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let rows = rows as f64;
        assert!((evidence.figures["rows"] - rows).abs() < 0.5);
        assert!(evidence.figures[Evidence::RESTORE_SECONDS] > 0.0);
        let told = evidence.checks.join("\n");
        for check in [
            "pg_restore read every file",
            "pg_restore restored",
            "foreign keys hold",
            "unique indexes hold",
            "sequences are ahead",
            "extensions: ",
            "the newest row is of",
            "rules of the queue hold",
            "the engine opened it",
        ] {
            assert!(told.contains(check), "{check} is not in: {told}");
        }
        // It is run where the server has the extension, and said where it has not.
        let amcheck = [
            "pg_amcheck found every row in its indexes",
            "not run: pg_amcheck: this PostgreSQL has no extension amcheck",
        ];
        assert_eq!(
            amcheck.iter().filter(|it| told.contains(**it)).count(),
            1,
            "{told}"
        );
        assert!(told.contains("all rows of "), "{told}");
        // What is known of it lies beside it.
        let repository = rig.backups.repository(super::rig::PLACE).unwrap();
        let known = repository
            .get(super::rig::TARGET, &backup.id)
            .await
            .unwrap();
        assert_eq!(known.verified(Level::Started), Some(&evidence));
    })
    .await;
}
