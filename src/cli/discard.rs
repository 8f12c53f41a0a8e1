use windlass::Client;

use super::change::{self, Args};
use super::{Failure, Printer};

pub(super) async fn run(client: &Client, args: Args, printer: &mut Printer) -> Result<(), Failure> {
    let changed = client.discard(args.id, args.tenant.as_deref()).await?;
    change::tell(args.id, changed, ("discarded", "is dead now"), printer)
}
