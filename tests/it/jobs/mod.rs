//! The platform's jobs, run by the real engine on the real databases with the offline models.

mod document_files;
mod documents;
mod golden;
mod messages;
mod rig;
mod upkeep;
