use windlass::Client;

use super::change::{self, Args};
use super::{Failure, Printer, actor};

pub(super) async fn run(client: &Client, args: Args, printer: &mut Printer) -> Result<(), Failure> {
    let changed = actor::operator(client, args.reason.as_deref())
        .requeue(args.id, args.tenant.as_deref())
        .await?;
    change::tell(args.id, changed, ("requeued", "is available now"), printer)
}
