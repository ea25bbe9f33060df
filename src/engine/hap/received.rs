//! What a push adds to a ref under `refs/hap/`: records of the kind that the ref is for, in their one form, linked.
//!
//! Form, place and links are judged, as of the last record that is there already. Whose signature counts is no question
//! of form: that is judged where a stream is verified and where something is authorized, with the keys of that time.

use super::attestation::{Attestation, Payload};
use super::names;
use super::record::{ATTESTATIONS, LOG, Record, STREAMS, check_issuance, read_registration};
use super::stream::{Fault, Verifier};
use crate::engine::code::{Code, Refusal};
use crate::engine::text::stream_id_fault;

/// Reads the records that a push adds to one ref, one after the other.
#[derive(Debug)]
pub struct Received {
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// `refs/hap/log`.
    Log,
    /// `refs/hap/streams/<project>`; nothing once a record broke the chain.
    Stream(Option<Verifier<'static>>),
    /// `refs/hap/attestations/<head>`.
    Attestations(String),
}

impl Received {
    /// Says what belongs on a ref.
    ///
    /// # Errors
    /// `CHAIN_MALFORMED`: nothing does.
    pub fn at(reference: &str) -> Result<Self, Refusal> {
        let place = if reference == LOG {
            Place::Log
        } else if let Some(project) = reference.strip_prefix(STREAMS)
            && stream_id_fault(project).is_none()
        {
            Place::Stream(Some(Verifier::linking(project)))
        } else if let Some(head) = reference.strip_prefix(ATTESTATIONS)
            && names::is_sha(head)
        {
            Place::Attestations(head.to_owned())
        } else {
            return Err(Refusal::new(
                Code::ChainMalformed,
                format!("no record of the Human Agency Protocol belongs on `{reference}`"),
            ));
        };
        Ok(Self { place })
    }

    /// The commit that the records of this ref attest to, where they do.
    #[must_use]
    pub fn attested(&self) -> Option<&str> {
        match &self.place {
            Place::Attestations(head) => Some(head),
            Place::Log | Place::Stream(_) => None,
        }
    }

    /// Goes on after the record that is there already, from the message and time of its commit.
    ///
    /// # Errors
    /// `CHAIN_MALFORMED`, `CHAIN_TAMPERED`: what is there is no record that another one could follow.
    pub fn resume(&mut self, message: &[u8], time: u64) -> Result<(), Refusal> {
        if let Place::Stream(verifier) = &mut self.place {
            let last = read_registration(message, time).map_err(broken)?;
            *verifier = match verifier.take() {
                Some(fresh) => Some(fresh.resume(&last).map_err(fault)?),
                None => None,
            };
        }
        Ok(())
    }

    /// Reads the next record from the message and time of its commit; returns the payload of a published attestation.
    ///
    /// # Errors
    /// `CHAIN_MALFORMED`: it is none of this ref, or not in its form. `CHAIN_TAMPERED`: it does not link to the one before,
    /// or is another project's. The detail `reason` is the code that the ref's own reader gives.
    pub fn take(&mut self, message: &[u8], time: u64) -> Result<Option<Payload>, Refusal> {
        match &mut self.place {
            Place::Log => check_issuance(message, time).map_err(broken)?,
            Place::Stream(verifier) => {
                let registration = read_registration(message, time).map_err(broken)?;
                let verifier = verifier.as_mut();
                verifier.map_or(Ok(()), |verifier| {
                    verifier.push(&registration).map_err(fault)
                })?;
            }
            Place::Attestations(_) => return published(message, time).map(Some).map_err(broken),
        }
        Ok(None)
    }
}

/// Reads a published attestation from the one message that it has.
fn published(message: &[u8], time: u64) -> Result<Payload, Refusal> {
    let malformed = || {
        let what = "the commit is not in the form of a published attestation";
        Refusal::new(Code::MalformedAttestation, what)
    };
    let text = std::str::from_utf8(message).map_err(|_| malformed())?;
    let (_, blob) = text.split_once("\n\n").ok_or_else(malformed)?;
    let attestation = Attestation::decode(blob)?;
    let expected = Record::of_attestation(blob, &attestation);
    if expected.message == message && expected.time == time {
        Ok(attestation.payload().clone())
    } else {
        Err(malformed())
    }
}

fn fault(fault: Fault) -> Refusal {
    let refusal = broken(Refusal::new(fault.code, fault.detail));
    match fault.sequence {
        Some(sequence) => refusal.detail("sequence", sequence.to_string()),
        None => refusal,
    }
}

/// Makes the boundary's reason of a reader's: a link that does not fit is another fault than a form that is none.
fn broken(refusal: Refusal) -> Refusal {
    let links = matches!(
        refusal.code,
        Code::StreamSequenceBroken
            | Code::StreamHashMismatch
            | Code::StreamGenesisInvalid
            | Code::StreamProjectMismatch
            | Code::StreamTimeRegression
    );
    let code = if links {
        Code::ChainTampered
    } else {
        Code::ChainMalformed
    };
    Refusal::new(code, refusal.message).detail("reason", refusal.code.name())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn every_ref_is_for_one_kind_of_record() {
        let head = "a".repeat(40);
        assert_eq!(Received::at(LOG).unwrap().attested(), None);
        let name = format!("{ATTESTATIONS}{head}");
        assert_eq!(Received::at(&name).unwrap().attested(), Some(head.as_str()));
        assert!(Received::at("refs/hap/streams/acme.web").is_ok());
        for name in [
            "refs/hap/other",
            "refs/hap/log/x",
            "refs/hap/streams/Upper",
            "refs/hap/streams/a/b",
            "refs/hap/attestations/main",
        ] {
            assert_eq!(Received::at(name).unwrap_err().code, Code::ChainMalformed);
        }
    }

    #[test]
    fn what_is_no_record_is_malformed_wherever_it_is_put() {
        let head = format!("{ATTESTATIONS}{}", "a".repeat(40));
        for name in [LOG, "refs/hap/streams/acme", &head] {
            for message in ["", "x", "subject\n\n", "subject\n\n{}", "\n\n\n"] {
                let mut received = Received::at(name).unwrap();
                let refusal = received.take(message.as_bytes(), 1).unwrap_err();
                assert_eq!(refusal.code, Code::ChainMalformed, "{name} {message:?}");
            }
        }
    }
}
