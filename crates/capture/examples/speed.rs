//! How many packets a second are read here, from a file in memory:
//! `cargo run --release -p plimsoll-capture --example speed`

use std::time::Instant;

use plimsoll_capture::Capture;

const PACKETS: u32 = 1_000_000;
/// The best of so many runs is shown: others use the machine too.
const RUNS: u32 = 7;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (name, file) in [("pcap", pcap()), ("pcapng", pcapng())] {
        let mut best = f64::INFINITY;
        for _ in 0..RUNS {
            let began = Instant::now();
            let mut capture = Capture::open(file.as_slice())?;
            let (mut packets, mut bytes) = (0_u32, 0);
            while let Some(datagram) = capture.next_datagram()? {
                packets += 1;
                bytes += datagram.bytes.len();
            }
            best = best.min(began.elapsed().as_secs_f64());
            assert_eq!((packets, bytes), (PACKETS, PACKETS as usize * 40));
        }
        println!("{name}: {:.1} million packets a second", f64::from(PACKETS) / best / 1e6);
    }
    Ok(())
}

/// A TCP segment without data in Ethernet, padded to the least frame.
fn frame(number: u32) -> [u8; 60] {
    let mut frame = [0; 60];
    frame[12] = 0x08;
    frame[14] = 0x45;
    frame[17] = 40;
    frame[22] = 64;
    frame[23] = 6;
    frame[26..30].copy_from_slice(&number.to_be_bytes());
    frame[30..34].copy_from_slice(&[192, 0, 2, 1]);
    frame
}

fn pcap() -> Vec<u8> {
    let mut file = words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1]);
    for number in 0..PACKETS {
        file.extend(words(&[number, 0, 60, 60]));
        file.extend(frame(number));
    }
    file
}

fn pcapng() -> Vec<u8> {
    let mut file = words(&[0x0a0d_0d0a, 28, 0x1a2b_3c4d, 1, u32::MAX, u32::MAX, 28]);
    file.extend(words(&[1, 20, 1, 65_535, 20]));
    for number in 0..PACKETS {
        file.extend(words(&[6, 92, 0, 0, number, 60, 60]));
        file.extend(frame(number));
        file.extend(words(&[92]));
    }
    file
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
