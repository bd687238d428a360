//! One input out of others: a few small injuries that decoders of lengths and tags are sensitive to.

use proconsul::base::Prng;

use super::INPUT_BYTES;

/// Bytes that mean something: limits, and the markers of messagepack that announce a length.
const TELLING: [u8; 24] = [
    0x00, 0x01, 0x7f, 0x80, 0x81, 0x8f, 0x90, 0x91, 0x9f, 0xa0, 0xa1, 0xbf, 0xc0, 0xc2, 0xc4, 0xcc,
    0xcf, 0xd3, 0xd9, 0xda, 0xdb, 0xdd, 0xdf, 0xff,
];
/// Numbers at the limits of their width.
const LIMITS: [u64; 8] =
    [0, 1, 0x7f, 0xffff, 0x7fff_ffff, 0xffff_ffff, 0x7fff_ffff_ffff_ffff, u64::MAX];

/// A position from the start to the end, which is one beyond the last byte.
fn place(input: &[u8], random: &mut Prng) -> usize {
    random.below(input.len() as u64 + 1) as usize
}

/// A range of at most `most` bytes.
fn range(input: &[u8], most: u64, random: &mut Prng) -> std::ops::Range<usize> {
    let start = place(input, random);
    let length = random.below(most + 1) as usize;
    start..input.len().min(start + length)
}

/// One of these inputs, injured.
pub fn mutated(inputs: &[Vec<u8>], random: &mut Prng) -> Vec<u8> {
    let mut input = random.pick(inputs).cloned().unwrap_or_default();
    for _ in 0..1 + random.below(6) {
        injure(&mut input, inputs, random);
    }
    input.truncate(INPUT_BYTES);
    input
}

fn injure(input: &mut Vec<u8>, inputs: &[Vec<u8>], random: &mut Prng) {
    let at = place(input, random);
    match random.below(11) {
        0 if at < input.len() => input[at] ^= 1 << random.below(8),
        1 if at < input.len() => input[at] = random.next_u64() as u8,
        2 | 3 if at < input.len() => input[at] = *random.pick(&TELLING).unwrap_or(&0),
        4 => drop(input.drain(range(input, 16, random))),
        5 => {
            let copy = input[range(input, 64, random)].to_vec();
            input.splice(at..at, copy);
        }
        6 => input.truncate(at),
        7 => {
            let number = random.pick(&LIMITS).copied().unwrap_or(0).wrapping_add(random.below(3));
            let width = 1 << random.below(4);
            let mut bytes = number.to_be_bytes()[8 - width..].to_vec();
            if random.below(2) == 0 {
                bytes.reverse();
            }
            let end = input.len().min(at + width);
            input.splice(at..end, bytes);
        }
        8 => {
            let other = random.pick(inputs).cloned().unwrap_or_default();
            let piece = other[range(&other, 256, random)].to_vec();
            let end = range(&input[at..], 64, random).end;
            input.splice(at..at + end, piece);
        }
        9 => {
            let bytes: Vec<u8> = (0..random.below(9)).map(|_| random.next_u64() as u8).collect();
            input.splice(at..at, bytes);
        }
        // Neighbours change places: fields of structs come in any order.
        _ => {
            let (left, right) = (range(input, 32, random), at);
            if left.end <= right {
                let piece: Vec<u8> = input.drain(left.clone()).collect();
                let to = right - piece.len();
                input.splice(to..to, piece);
            }
        }
    }
}
