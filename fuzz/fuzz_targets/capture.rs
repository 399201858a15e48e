//! Any bytes, taken for a packet capture: no panic, an end, every datagram has its header, and every error lies inside.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll_capture::{Capture, Error};

fuzz_target!(|file: &[u8]| {
    let error = match Capture::open(file) {
        Ok(capture) => read(capture, file.len()),
        Err(error) => Some(error),
    };
    let Some(error) = error else { return };
    std::hint::black_box(error.to_string());
    match error {
        Error::Broken { offset, .. } | Error::UnsupportedLinkType { offset, .. } => {
            assert!(offset <= file.len() as u64, "{error}");
        }
        Error::NotACapture { .. } => {}
        error => panic!("the input cannot fail: {error}"),
    }
});

fn read(mut capture: Capture<&[u8]>, length: usize) -> Option<Error> {
    let mut datagrams = 0;
    let error = loop {
        match capture.next_datagram() {
            Ok(Some(datagram)) => {
                let header_bytes = match datagram.bytes[0] >> 4 {
                    4 => usize::from(datagram.bytes[0] & 0xf) * 4,
                    6 => 40,
                    version => panic!("version {version}"),
                };
                assert!(header_bytes >= 20 && datagram.bytes.len() >= header_bytes);
                datagrams += 1;
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    assert!(datagrams <= length / 16);
    assert!(matches!(capture.next_datagram(), Ok(None)));
    std::hint::black_box(format!("{:?}", capture.skipped()));
    error
}
