//! This program's settings without secrets, and the ids of its keys: what somebody needs to know who sets it
//! up again.

use super::{Error, Work};

pub(super) async fn write(work: &Work<'_>) -> Result<(), Error> {
    let about = serde_json::to_vec_pretty(work.backups.about())
        .map_err(|e| Error::io("writing the settings")(e.into()))?;
    work.write("configuration.json", about).await
}
