//! Files that are cut off, damaged, or made to do harm: an error for each, and no more memory than the file is long.

#![expect(unsafe_code, reason = "to see what is asked for, an allocator stands before the system's")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::path::Path;

use runtime_gguf::{Error, Header, List, Value};

/// The largest piece of memory that this thread asked for.
struct Watching;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.with(|largest| largest.set(largest.get().max(layout.size())));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

/// Bytes that reading may ask for at once beside what the file holds: a buffer.
const BUFFER: usize = 16 << 10;

/// Reads bytes as a file of their length, and checks what memory was asked for at once.
fn read(bytes: &[u8]) -> Result<Header, Error> {
    LARGEST.with(|largest| largest.set(0));
    let read = Header::read(bytes, bytes.len() as u64);
    let largest = LARGEST.with(Cell::get);
    // A list of texts takes 3 times the 8 bytes that each is long at least, and grows by doubling.
    assert!(largest <= 6 * bytes.len() + BUFFER, "{largest} bytes at once for a file of {}", bytes.len());
    read
}

/// A file as this test writes it.
struct Writer(Vec<u8>);

impl Writer {
    fn new(tensors: u64, keys: u64) -> Self {
        Self(b"GGUF".to_vec()).u32(3).u64(tensors).u64(keys)
    }

    fn u32(mut self, number: u32) -> Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn u64(mut self, number: u64) -> Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn text(mut self, text: &str) -> Self {
        self = self.u64(text.len() as u64);
        self.0.extend(text.as_bytes());
        self
    }

    /// A tensor of a kind by its number, at an offset.
    fn tensor(mut self, name: &str, dimensions: &[u64], kind: u32, offset: u64) -> Self {
        self = self.text(name).u32(u32::try_from(dimensions.len()).expect("few"));
        for size in dimensions {
            self = self.u64(*size);
        }
        self.u32(kind).u64(offset)
    }

    /// With so many bytes of tensors behind the header.
    fn data(mut self, bytes: usize) -> Vec<u8> {
        self.0.resize(self.0.len().next_multiple_of(32) + bytes, 0);
        self.0
    }
}

fn wrong(bytes: &[u8]) -> String {
    read(bytes).expect_err("it is refused").to_string()
}

fn sample() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/gguf/models/gpt2-q8_0/gpt2-q8_0.gguf");
    fs::read(path).expect("the recorded file is there")
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    let whole = sample();
    let header = read(&whole).expect("it is whole");
    let last = header.tensors.iter().map(|tensor| tensor.offset + tensor.bytes).max().expect("it has tensors");
    let last = usize::try_from(last).expect("it is in memory");
    // Behind the last tensor there may be bytes that fill up.
    for length in 0..last {
        let error = read(&whole[..length]).expect_err("it is cut");
        let told = matches!(error, Error::Cut { .. } | Error::Count { .. } | Error::Place { .. });
        assert!(told, "cut at {length}: {error}");
    }
}

#[test]
fn a_damaged_byte_does_no_harm() {
    let whole = sample();
    let header = read(&whole).expect("it is whole");
    let data = header.tensors.iter().map(|tensor| tensor.offset).min().expect("it has tensors");
    let mut refused = 0;
    for at in 0..usize::try_from(data).expect("it is in memory") {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] = value;
            refused += usize::from(read(&damaged).is_err());
        }
    }
    assert!(refused > 1000, "{refused}");
}

#[test]
fn counts_beyond_the_file_ask_for_no_memory() {
    for count in [u64::MAX, u64::MAX / 8, 1 << 62, 1 << 40, 1 << 32, 1 << 20] {
        assert!(wrong(&Writer::new(count, 0).0).contains("the list of tensors"), "{count}");
        assert!(wrong(&Writer::new(0, count).0).contains("the list of keys"), "{count}");
        let key = |kind| Writer::new(0, 1).text("k").u32(kind);
        assert!(wrong(&key(8).u64(count).0).contains("entries"), "a text of {count}");
        for inner in [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12] {
            assert!(wrong(&key(9).u32(inner).u64(count).0).contains("a list"), "{count} of {inner}");
        }
        assert!(wrong(&Writer::new(0, 1).u64(count).data(64)).contains("a key"), "{count}");
        assert!(wrong(&Writer::new(1, 0).u64(count).data(64)).contains("the name of a tensor"), "{count}");
    }
}

#[test]
fn values_of_no_type_and_lists_of_lists_are_refused() {
    let key = |kind| Writer::new(0, 1).text("k").u32(kind);
    assert!(wrong(&key(13).data(64)).contains("unknown type 13"));
    assert!(wrong(&key(9).u32(13).u64(1).data(64)).contains("unknown type 13"));
    // However deep: the first is refused.
    assert!(wrong(&key(9).u32(9).u64(1).u32(9).u64(1).data(64)).contains("holds lists"));
}

#[test]
fn tensors_lie_in_the_file_apart_and_aligned() {
    let one = |dimensions: &[u64], kind, offset| Writer::new(1, 0).tensor("t", dimensions, kind, offset).data(64);
    assert!(read(&one(&[16], 0, 0)).is_ok());
    assert!(wrong(&one(&[17], 0, 0)).contains("beyond the end"));
    assert!(wrong(&one(&[16], 0, 32)).contains("beyond the end"));
    assert!(wrong(&one(&[1], 0, u64::MAX - 31)).contains("beyond the end"));
    assert!(wrong(&one(&[1], 0, 1)).contains("multiple of 32"));
    assert!(wrong(&one(&[1 << 32, 1 << 32], 0, 0)).contains("more than any file"));
    assert!(wrong(&one(&[i64::MAX.unsigned_abs(), 2], 2, 0)).contains("more than any file"));
    assert!(wrong(&one(&[1 << 62], 0, 0)).contains("more bytes than any file"));
    assert!(wrong(&one(&[1 << 61], 0, 0)).contains("beyond the end"));
    assert!(wrong(&one(&[0], 0, 0)).contains("none of them may be 0"));
    assert!(wrong(&one(&[], 0, 0)).contains("1 to 4"));
    assert!(wrong(&one(&[1, 1, 1, 1, 1], 0, 0)).contains("1 to 4"));
    assert!(wrong(&one(&[33], 2, 0)).contains("whole blocks"));
    let two = |second| Writer::new(2, 0).tensor("a", &[16], 0, 0).tensor("b", &[8], 0, second).data(128);
    assert!(read(&two(64)).is_ok());
    assert!(wrong(&two(32)).contains("lies in `a`"));
    assert!(wrong(&two(0)).contains("lies in"));
    let twice = Writer::new(2, 0).tensor("a", &[8], 0, 0).tensor("a", &[8], 0, 32).data(64);
    assert!(wrong(&twice).contains("`a` is there twice"));
}

#[test]
fn other_files_are_told_as_what_they_are() {
    let with = |magic: &[u8; 4], version: u32| [&magic[..], &version.to_le_bytes()[..], &[0; 16]].concat();
    assert!(matches!(read(&with(b"PK\x03\x04", 3)), Err(Error::Magic)));
    assert!(matches!(read(&with(b"GGUF", 1)), Err(Error::Version { version: 1 })));
    assert!(matches!(read(&with(b"GGUF", 3 << 24)), Err(Error::BigEndian)));
    assert!(read(&with(b"GGUF", 2)).is_ok());
    let aligned = |bytes| Writer::new(0, 1).text("general.alignment").u32(4).u32(bytes).0;
    assert!(read(&aligned(64)).is_ok());
    for bytes in [0, 3, 1 << 17] {
        assert!(matches!(read(&aligned(bytes)), Err(Error::Alignment)), "{bytes}");
    }
    let twice = Writer::new(0, 2).text("k").u32(4).u32(1).text("k").u32(4).u32(2).0;
    assert!(wrong(&twice).contains("`k` is there twice"));
    let mut letters = Writer::new(0, 1).text("k").u32(8).u64(2).0;
    letters.extend([0xff, 0xfe]);
    assert!(wrong(&letters).contains("not UTF-8"));
}

#[test]
fn what_a_file_says_is_read() {
    let header = read(&sample()).expect("it is whole");
    assert_eq!(header.metadata["general.architecture"], Value::Text("gpt2".to_owned()));
    assert_eq!(header.metadata["gpt2.block_count"], Value::Integer(2));
    assert_eq!(header.metadata["gpt2.attention.layer_norm_epsilon"], Value::F32(1e-5));
    let Value::List(List::Texts(tokens)) = &header.metadata["tokenizer.ggml.tokens"] else { panic!("no texts") };
    assert_eq!((tokens.len(), tokens[0].as_str()), (480, "!"));
    let table = header.tensors.iter().find(|tensor| tensor.name == "token_embd.weight").expect("it is there");
    // 480 rows of one block of 32 numbers.
    assert_eq!((table.dimensions.as_slice(), table.kind.name(), table.bytes), (&[32, 480][..], Some("Q8_0"), 480 * 34));
}
