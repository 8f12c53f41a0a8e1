//! The message pipeline, run by the real engine on the real databases, against servers that speak the
//! providers' protocols.

mod conversations;
mod escalation;
mod limits;
mod providers;
mod resuming;
mod server;
mod settings;
pub(super) mod sql;

/// Runs each test on both databases.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod postgres { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                crate::jobs::rig::on_postgres(crate::jobs::rig::Setup::default(), super::$name).await;
            })+ }
        mod sqlite { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                crate::jobs::rig::on_sqlite(crate::jobs::rig::Setup::default(), super::$name).await;
            })+ }
    };
}
use on_both;
