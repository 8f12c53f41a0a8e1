//! Messages by RabbitMQ: a real one, whose queues are published to as the platform's API does.

mod desk;
mod faults;
mod health;
mod intake;
mod outages;
mod proxy;
mod publishing;
mod recover;
pub(crate) mod rig;
mod webchat;
