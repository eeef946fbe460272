//! Where WebSocket frames begin and end, so that a Close of ours never lands inside one (RFC 6455 section 5.2).

/// The bit of an opcode that tells Close, Ping and Pong.
const CONTROL: u8 = 0x08;

/// Follows the frames of one direction without keeping them.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// Header bytes of the frame at hand; the longest header has 14.
    header: [u8; 14],
    have: usize,
    payload: u64,
    spoke: bool,
}

impl Frames {
    /// Takes note of bytes that were passed on.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = self.finish(bytes);
            bytes = bytes.get(taken..).unwrap_or_default();
        }
    }

    /// Takes note of the first of `bytes`, up to the end of the frame they begin in; returns how many those are.
    pub(super) fn finish(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while let Some(next) = bytes.get(taken) {
            if self.payload > 0 {
                let skip = usize::try_from(self.payload).unwrap_or(usize::MAX).min(bytes.len() - taken);
                self.payload -= skip as u64;
                taken += skip;
            } else {
                taken += 1;
                self.take_header(*next);
            }
            if self.between() {
                break;
            }
        }
        taken
    }

    /// Whether a message, or a part of one, has begun since the last question. Pings and pongs are none: they come while
    /// nobody is there.
    pub(super) fn spoke(&mut self) -> bool {
        std::mem::take(&mut self.spoke)
    }

    /// Whether a new frame may begin here.
    pub(super) fn between(&self) -> bool {
        self.have == 0 && self.payload == 0
    }

    fn take_header(&mut self, byte: u8) {
        if let Some(place) = self.header.get_mut(self.have) {
            *place = byte;
        }
        self.have += 1;
        if let Some(payload) = self.complete() {
            self.spoke |= self.header.first().is_some_and(|first| first & CONTROL == 0);
            self.payload = payload;
            self.have = 0;
        }
    }

    /// The payload length, once the whole header is there.
    fn complete(&self) -> Option<u64> {
        let second = *self.header.get(1).filter(|_| self.have >= 2)?;
        let extended = match second & 0x7F {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        if self.have < 2 + extended + mask {
            return None;
        }
        let length = self.header.get(2..2 + extended)?.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        Some(if extended == 0 { u64::from(second & 0x7F) } else { length })
    }
}

/// An unmasked Close frame with a code and a reason of at most 123 bytes.
pub(super) fn close(code: u16, reason: &str) -> Vec<u8> {
    let reason = reason.as_bytes().get(..reason.len().min(123)).unwrap_or_default();
    let length = u8::try_from(reason.len() + 2).unwrap_or(2);
    [&[0x88, length], code.to_be_bytes().as_slice(), reason].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut bytes = vec![0x82];
        match length {
            0..126 => bytes.push(mask | u8::try_from(length).unwrap()),
            126..65_536 => bytes.extend([&[mask | 126][..], &u16::try_from(length).unwrap().to_be_bytes()].concat()),
            _ => bytes.extend([&[mask | 127][..], &(length as u64).to_be_bytes()].concat()),
        }
        bytes.extend(vec![1; if masked { 4 } else { 0 } + length]);
        bytes
    }

    #[test]
    fn boundaries_are_found_however_the_bytes_are_cut() {
        let all: Vec<u8> =
            [frame(0, false), frame(5, true), frame(126, false), frame(70_000, true), frame(3, false)].concat();
        for cut in [1, 2, 3, 7, 1000, all.len()] {
            let mut frames = Frames::default();
            let mut boundaries = 0;
            for piece in all.chunks(cut) {
                frames.pass(piece);
                boundaries += usize::from(frames.between());
            }
            assert!(frames.between(), "cut {cut}");
            if cut == 1 {
                assert_eq!(boundaries, 5);
            }
        }
    }

    #[test]
    fn within_a_frame_there_is_no_boundary() {
        let mut frames = Frames::default();
        let whole = frame(200, true);
        frames.pass(&whole[..whole.len() - 1]);
        assert!(!frames.between());
        frames.pass(&whole[whole.len() - 1..]);
        assert!(frames.between());
    }

    #[test]
    fn the_rest_of_a_frame_ends_where_the_next_one_begins() {
        let all = [frame(200, true), frame(3, false)].concat();
        for cut in [1, 2, 5, 100, all.len() - 6] {
            let mut frames = Frames::default();
            frames.pass(&all[..cut]);
            assert_eq!(frames.finish(&all[cut..]), all.len() - 5 - cut, "cut {cut}");
            assert!(frames.between());
        }
    }

    #[test]
    fn only_messages_count_as_speaking() {
        let mut frames = Frames::default();
        frames.pass(&[0x89, 0x80, 1, 2, 3, 4, 0x8A, 0x80, 1, 2, 3, 4]);
        assert!(!frames.spoke());
        frames.pass(&frame(3, true));
        assert!(frames.spoke());
        assert!(!frames.spoke());
    }

    #[test]
    fn a_close_frame_says_why() {
        assert_eq!(close(1001, "bye"), [0x88, 5, 0x03, 0xE9, b'b', b'y', b'e']);
    }
}
