use windlass::Client;

use super::change::{self, OneJob};
use super::{Failure, Printer, actor};

pub(super) async fn run(
    client: &Client,
    args: OneJob,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let changed = actor::operator(client, args.reason.as_deref())
        .cancel(args.id, args.tenant.as_deref())
        .await?;
    change::tell(args.id, changed, ("cancelled", "is cancelled"), printer)
}
