//! The platform's data: every case runs on PostgreSQL, on PostgreSQL as an existing platform may
//! have it (partitioned messages, forced row security, an ordinary role), and on SQLite.

mod analytics;
mod conversations;
mod documents;
pub(crate) mod fixture;
mod partitions;
mod prepare;
pub(crate) mod records;
mod retention;
mod search;
mod tables;
mod tenants;

/// Makes a test of each case for each kind of database.
macro_rules! on_all {
    ($($case:ident),+ $(,)?) => {
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::support::on_postgres(super::$case).await;
            })+
        }

        mod existing_platform {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::platform::fixture::on_existing(super::$case).await;
            })+
        }

        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::support::on_sqlite(super::$case).await;
            })+
        }
    };
}

/// The same without row security, for what looks across tenants.
macro_rules! on_both {
    ($($case:ident),+ $(,)?) => {
        $(mod $case {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                crate::support::on_postgres(super::$case).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                crate::support::on_sqlite(super::$case).await;
            }
        })+
    };
}

use {on_all, on_both};
