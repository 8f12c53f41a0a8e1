//! The platform's jobs, run by the real engine on the real databases with the offline models.

mod connections;
mod delivery;
mod document_check;
mod document_files;
mod documents;
mod embedding;
mod events;
mod golden;
mod messages;
mod model_server;
mod outbox;
mod pipeline;
mod retention;
mod retrieval;
pub(crate) mod rig;
mod secrets;
pub(crate) mod server;
mod tables;
mod upkeep;
mod webhooks;
