//! A codec that leaves bytes alone.

use std::convert::Infallible;

use apalis_core::backend::codec::Codec;

/// Passes payloads on as they are. A payload that apalis can't decode would end the worker.
#[derive(Clone, Debug)]
pub(crate) struct Raw;

impl Codec<Vec<u8>> for Raw {
    type Error = Infallible;
    type Compact = Vec<u8>;

    fn encode(&self, payload: &Vec<u8>) -> Result<Vec<u8>, Infallible> {
        Ok(payload.clone())
    }

    fn decode(&self, payload: &Vec<u8>) -> Result<Vec<u8>, Infallible> {
        Ok(payload.clone())
    }
}
