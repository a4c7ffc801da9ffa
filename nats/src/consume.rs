//! stub
use crate::*;
/// One of the processes that share a durable reader.
#[derive(Debug)]
pub struct Consumer {}
/// A batch that waits for its acknowledgement. Dropped without one it comes again, here or elsewhere, after the ack
/// wait of 30 s.
#[derive(Debug)]
pub struct Delivery {
    /// The lines of the batch, in order.
    pub lines: Vec<Result<Entry, Malformed>>,
}
impl Consumer {
    /// The next batch. Waits for as long as there is none, also through outages of the server. Cancel safe.
    /// An error is final.
    pub async fn next(&mut self) -> Result<Delivery, Error> {
        todo!()
    }
}
impl Delivery {
    /// The effect is durable: the batch need not come again. If this fails it will.
    pub async fn ack(&self) -> Result<(), Error> {
        todo!()
    }
    /// Still at work: asks for another 30 s.
    pub async fn progress(&self) -> Result<(), Error> {
        todo!()
    }
    /// How often the batch was handed out, this time included.
    pub fn delivered(&self) -> i64 {
        todo!()
    }
}
