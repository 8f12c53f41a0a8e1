//! Queues for Rust under the same measurement as ours.
//!
//! `windlass-peers NAME-stock|NAME-tuned URL ROLE...`: `benches/peers/run` and `benches/engine` start
//! it. The roles are those of `support/roles.rs`.

mod apalis;
mod awa;
mod graphile;
mod raw;
mod settings;

#[path = "../../../../crates/windlass/benches/support/mod.rs"]
mod support;

use anyhow::{Context as _, bail};

use settings::Settings;
use support::roles::{self, Role};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [subject, url, role @ ..] = args.as_slice() else {
        bail!("a subject, a URL and a role are needed");
    };
    let (name, settings) = Settings::split(subject)?;
    let role = Role::from_args(role)?.context("a role is needed")?;
    match (name, url.strip_prefix("sqlite:")) {
        ("apalis", Some(path)) => {
            roles::play(apalis::sqlite::Peer::open(path, settings)?, role).await
        }
        ("apalis", None) => roles::play(apalis::postgres::Peer::open(url, settings)?, role).await,
        ("awa", None) => roles::play(awa::Peer::open(url, settings)?, role).await,
        ("graphile_worker", None) => roles::play(graphile::Peer::open(url, settings)?, role).await,
        ("sql", None) => roles::play(raw::Statements::open(url)?, role).await,
        _ => bail!("no peer is called {name}, or not on such a database"),
    }
}
