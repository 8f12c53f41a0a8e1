//! Goes through the documents of all tenants, page by page, and can go on where it was.

use serde::{Deserialize, Serialize};

use super::failure::from_platform;
use crate::platform::{ExaminedDocument, Platform};

/// Documents looked at by one step.
const PAGE: u32 = 200;

/// The last document that was looked at.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Place {
    tenant: String,
    document: String,
}

/// The way through them.
pub(super) struct Walk<'a> {
    platform: &'a Platform,
    /// In order, those that are not done.
    tenants: Vec<String>,
    place: Place,
}

/// Some documents of one tenant.
pub(super) struct Page {
    pub(super) tenant: String,
    pub(super) documents: Vec<ExaminedDocument>,
}

impl<'a> Walk<'a> {
    /// Through one tenant's documents, or everybody's, from where it was.
    pub(super) async fn from(
        platform: &'a Platform,
        tenant: Option<&str>,
        place: Place,
    ) -> anyhow::Result<Self> {
        let mut tenants: Vec<String> = match tenant {
            Some(tenant) => vec![tenant.to_owned()],
            None => {
                let known = platform.known_tenants().await.map_err(from_platform)?;
                known.into_iter().map(|tenant| tenant.id).collect()
            }
        };
        tenants.retain(|tenant| *tenant >= place.tenant);
        tenants.sort_unstable_by(|a, b| b.cmp(a)); // the next one is the last
        Ok(Self {
            platform,
            tenants,
            place,
        })
    }

    /// `None` if there are no more.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<Page>> {
        while let Some(tenant) = self.tenants.last() {
            let after = if *tenant == self.place.tenant {
                self.place.document.as_str()
            } else {
                ""
            };
            let documents = self.platform.examine_documents(tenant, after, PAGE).await;
            let documents = documents.map_err(from_platform)?;
            let tenant = tenant.clone();
            if let Some(last) = documents.last() {
                self.place = Place {
                    tenant: tenant.clone(),
                    document: last.id.clone(),
                };
                return Ok(Some(Page { tenant, documents }));
            }
            self.tenants.pop();
        }
        Ok(None)
    }

    /// Where it is, to be noted once the last page was dealt with.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }
}
