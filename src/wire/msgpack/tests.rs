//! The dialect, form by form, and garbage.

use proptest::prelude::*;

use super::{DecodeError, Fault, MAX_DEPTH, MAX_MESSAGE, Reader, Writer, streamed};

fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut Writer::new(&mut out));
    out
}

#[test]
fn integers_take_their_shortest_unsigned_form() {
    let forms: [(u64, &[u8]); 9] = [
        (0, &[0x00]),
        (127, &[0x7f]),
        (128, &[0xcc, 0x80]),
        (255, &[0xcc, 0xff]),
        (256, &[0xcd, 0x01, 0x00]),
        (65_535, &[0xcd, 0xff, 0xff]),
        (65_536, &[0xce, 0, 1, 0, 0]),
        (u64::from(u32::MAX), &[0xce, 0xff, 0xff, 0xff, 0xff]),
        (u64::from(u32::MAX) + 1, &[0xcf, 0, 0, 0, 1, 0, 0, 0, 0]),
    ];
    for (value, form) in forms {
        assert_eq!(written(|writer| writer.uint(value)), form, "{value}");
        assert_eq!(Reader::new(form).u64(), Ok(value));
    }
}

#[test]
fn any_integer_form_is_read() {
    let seven: [&[u8]; 9] = [
        &[0x07],
        &[0xcc, 7],
        &[0xcd, 0, 7],
        &[0xce, 0, 0, 0, 7],
        &[0xcf, 0, 0, 0, 0, 0, 0, 0, 7],
        &[0xd0, 7],
        &[0xd1, 0, 7],
        &[0xd2, 0, 0, 0, 7],
        &[0xd3, 0, 0, 0, 0, 0, 0, 0, 7],
    ];
    for form in seven {
        assert_eq!(Reader::new(form).u64(), Ok(7), "{form:x?}");
        assert_eq!(Reader::new(form).i64_not_negative(), Ok(7), "{form:x?}");
    }
    let negative: [&[u8]; 3] =
        [&[0xff], &[0xd0, 0xff], &[0xd3, 255, 255, 255, 255, 255, 255, 255, 255]];
    for form in negative {
        let fault = Fault::Value { what: "an unsigned integer", value: -1 };
        assert_eq!(Reader::new(form).u64(), Err(DecodeError { offset: 0, fault }), "{form:x?}");
    }
    let beyond = written(|writer| writer.uint(1 << 63));
    assert!(Reader::new(&beyond).i64_not_negative().is_err());
}

#[test]
fn strings_and_bytes_are_old_raw_and_read_in_any_form() {
    let head = |length: usize| written(|writer| writer.bytes(&vec![b'x'; length]))[..3].to_vec();
    assert_eq!(head(31)[0], 0xa0 | 31);
    assert_eq!(head(32), [0xda, 0, 32]);
    assert_eq!(head(255), [0xda, 0, 255]);
    assert_eq!(head(65_535), [0xda, 255, 255]);
    assert_eq!(head(65_536), [0xdb, 0, 1]);
    let forms: [&[u8]; 7] = [
        b"\xa2hi",
        b"\xd9\x02hi",
        b"\xda\x00\x02hi",
        b"\xdb\x00\x00\x00\x02hi",
        b"\xc4\x02hi",
        b"\xc5\x00\x02hi",
        b"\xc6\x00\x00\x00\x02hi",
    ];
    for form in forms {
        assert_eq!(Reader::new(form).str(), Ok("hi"), "{form:x?}");
        assert_eq!(Reader::new(form).bytes(), Ok(&b"hi"[..]), "{form:x?}");
    }
    assert_eq!(Reader::new(b"\xa1\xff").str().unwrap_err().fault, Fault::NotUtf8);
    assert_eq!(written(|writer| writer.bytes_or_nil(b"")), [0xc0]);
    assert_eq!(written(|writer| writer.bytes(b"")), [0xa0]);
}

#[test]
fn nil_is_the_zero_value_of_every_field() {
    let nil = [0xc0];
    assert_eq!(Reader::new(&nil).u64(), Ok(0));
    assert_eq!(Reader::new(&nil).bool(), Ok(false));
    assert_eq!(Reader::new(&nil).str(), Ok(""));
    assert_eq!(Reader::new(&nil).array(|_| unreachable!("no items")), Ok(()));
    assert_eq!(Reader::new(&nil).map(|_, _| unreachable!("no fields")), Ok(()));
}

#[test]
fn bools_may_be_integers() {
    for (byte, value) in [(0xc2, false), (0xc3, true), (0, false), (1, true)] {
        assert_eq!(Reader::new(&[byte]).bool(), Ok(value));
    }
    assert!(Reader::new(&[2]).bool().is_err());
}

#[test]
fn every_form_can_be_skipped() {
    let forms: [&[u8]; 13] = [
        &[0xc0],
        &[0xe5],
        &[0xca, 0, 0, 0, 0],
        &[0xcb, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0xd4, 1, 2],
        &[0xd8, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0xc7, 2, 9, 1, 1],
        &[0xc9, 0, 0, 0, 1, 9, 1],
        &[0x92, 1, 0xa1, b'x'],
        &[0xdc, 0, 1, 0xc0],
        &[0xdd, 0, 0, 0, 1, 0xc0],
        &[0x81, 0x90, 0x80],
        &[0xdf, 0, 0, 0, 1, 0xc0, 0xc0],
    ];
    for form in forms {
        let mut reader = Reader::new(form);
        assert_eq!(reader.skip(), Ok(()), "{form:x?}");
        assert_eq!(reader.finish(), Ok(()), "{form:x?}");
        for shorter in 0..form.len() {
            let error = Reader::new(&form[..shorter]).skip().unwrap_err();
            assert_eq!(error.fault, Fault::Incomplete, "{form:x?}");
        }
    }
    assert!(matches!(
        Reader::new(&[0xc1]).skip().unwrap_err().fault,
        Fault::Expected { found: 0xc1, .. }
    ));
}

#[test]
fn nesting_is_bounded() {
    let nested = |levels: usize| [vec![0x91; levels], vec![0xc0]].concat();
    assert_eq!(Reader::new(&nested(MAX_DEPTH)).skip(), Ok(()));
    let error = Reader::new(&nested(MAX_DEPTH + 1)).skip().unwrap_err();
    assert_eq!(error, DecodeError { offset: MAX_DEPTH, fault: Fault::TooDeep });
    assert_eq!(Reader::new(&vec![0x91; 1 << 20]).skip().unwrap_err().fault, Fault::TooDeep);
}

#[test]
fn announced_lengths_are_bounded_and_errors_say_where() {
    let huge = [0xdb, 0xff, 0xff, 0xff, 0xff];
    let error = Reader::new(&huge).bytes().unwrap_err();
    assert_eq!(error.fault, Fault::TooLong(u64::from(u32::MAX)));
    assert_eq!(Reader::new(&[0xc9, 255, 255, 255, 255]).skip().unwrap_err().offset, 1);
    let mut reader = Reader::new(&[0x82, 0xa1, b'a', 0x01, 0xa1, b'b', 0xc3]);
    let error = reader.map(|reader, _| reader.u64().map(drop)).unwrap_err();
    assert_eq!(error.offset, 6);
    assert_eq!(error.to_string(), "expected an integer, found type byte 0xc3 (at byte 6)");
    assert_eq!(Reader::new(&[1, 2]).finish().unwrap_err().fault, Fault::Trailing);
}

#[test]
fn a_stream_waits_for_what_is_missing_but_not_for_ever() {
    let incomplete = || Err::<(), _>(DecodeError { offset: 3, fault: Fault::Incomplete });
    assert_eq!(streamed(10, incomplete()), Ok(None));
    assert!(streamed(MAX_MESSAGE, incomplete()).is_err());
    assert_eq!(streamed(10, Ok(())), Ok(Some(())));
    let wrong = DecodeError { offset: 1, fault: Fault::NotUtf8 };
    assert_eq!(streamed::<()>(10, Err(wrong.clone())), Err(wrong));
}

proptest! {
    #[test]
    fn what_is_written_is_read(number: u64, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let out = written(|writer| {
            writer.map(2);
            writer.key("bytes").bytes(&bytes);
            writer.key("number").uint(number);
        });
        let (mut read_number, mut read_bytes) = (0, Vec::new());
        let mut reader = Reader::new(&out);
        reader.map(|reader, key| {
            match key {
                b"bytes" => read_bytes = reader.bytes()?.to_vec(),
                b"number" => read_number = reader.u64()?,
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        reader.finish()?;
        prop_assert_eq!((read_number, read_bytes), (number, bytes));
        let mut skipped = Reader::new(&out);
        skipped.skip()?;
        prop_assert_eq!(skipped.position(), out.len());
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut reader = Reader::new(&bytes);
        while reader.skip().is_ok() {}
        prop_assert!(reader.position() <= bytes.len());
        let mut items = 0;
        let _ = Reader::new(&bytes).array(|reader| {
            items += 1;
            reader.skip()
        });
        prop_assert!(items <= bytes.len() + 1, "work follows the bytes, not the announced length");
    }
}
