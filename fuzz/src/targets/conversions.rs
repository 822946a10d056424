//! What is pasted: texts and pictures, from the host and from the guest's programs.

use std::cell::RefCell;
use std::rc::Rc;

use clipboard::convert::{self, Convert, Limits, Step};
use clipboard::formats::Mime;

use super::Target;

pub const TARGET: Target = Target {
    name: "conversions",
    about: "conversions of the clipboard; the first byte chooses one",
    run,
    seeds,
    tries: 6_000,
};

const MIMES: [Mime; 5] = [Mime::Plain, Mime::Html, Mime::UriList, Mime::Png, Mime::Bmp];

const LIMITS: Limits = Limits { bytes: 1 << 22, pixels: 1 << 20 };

/// More steps than any content of the limits takes. One that takes more does not get on.
const MOST_STEPS: u32 = 100_000;

fn run(bytes: &[u8]) {
    let Some((choice, content)) = bytes.split_first() else { return };
    let mime = MIMES[usize::from(*choice) / 2 % MIMES.len()];
    let source = Rc::new(RefCell::new(content.to_vec()));
    let target = Rc::new(RefCell::new(Vec::new()));
    let size = content.len() as u64;
    let mut conversion: Box<dyn Convert> = match choice % 2 {
        0 => convert::to_guest(mime, source, size, target.clone(), LIMITS),
        _ => convert::to_host(mime, source, size, target.clone(), LIMITS),
    };
    let mut steps = 0;
    while conversion.step().is_ok_and(|step| step == Step::More) {
        steps += 1;
        assert!(steps < MOST_STEPS, "it does not get on");
    }
    drop(conversion);
    // What is before the error is still within the limit.
    assert!(target.borrow().len() as u64 <= LIMITS.bytes, "more than its limit");
}

fn seeds() -> Vec<Vec<u8>> {
    let utf16: Vec<u8> = "a\r\n\u{e9}\u{1f600}\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let html = b"Version:0.9\r\nStartHTML:97\r\nEndHTML:170\r\nStartFragment:131\r\nEndFragment:134\r\n\
                 <html><body><!--StartFragment-->abc<!--EndFragment--></body></html>";
    let dibs = [dib(24, 0, 3, 2), dib(32, 3, 2, -2), dib(8, 0, 5, 3), dib(4, 0, 5, 3), dib(1, 0, 9, 3)];
    let mut seeds = vec![
        [&[0], &utf16[..]].concat(),
        [&[1], "a\n\u{e9}\u{1f600}".as_bytes()].concat(),
        [&[2], &html[..]].concat(),
        [&[3], &b"<b>abc</b>"[..]].concat(),
        [&[5], &b"file:///a\r\n"[..]].concat(),
    ];
    for dib in dibs {
        seeds.push([&[6], &dib[..]].concat());
        seeds.push([&[8], &dib[..]].concat());
        let mut file = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0".to_vec();
        file.extend_from_slice(&dib);
        seeds.push([&[9], &file[..]].concat());
        // What this makes of it is a PNG for the other way.
        let (source, target) = (Rc::new(RefCell::new(dib.clone())), Rc::new(RefCell::new(Vec::new())));
        let mut conversion = convert::to_guest(Mime::Png, source, dib.len() as u64, target.clone(), LIMITS);
        while conversion.step().is_ok_and(|step| step == Step::More) {}
        seeds.push([&[7], &target.borrow()[..]].concat());
    }
    seeds
}

/// A bitmap without a file's header, of so many bits a pixel.
fn dib(bits: u16, compression: u32, width: i32, height: i32) -> Vec<u8> {
    let stride = (width as usize * usize::from(bits)).div_ceil(32) * 4;
    let mut bytes = Vec::new();
    bytes.extend(40_u32.to_le_bytes());
    bytes.extend(width.to_le_bytes());
    bytes.extend(height.to_le_bytes());
    bytes.extend(1_u16.to_le_bytes());
    bytes.extend(bits.to_le_bytes());
    bytes.extend([compression, 0, 2835, 2835, 0, 0].iter().flat_map(|word| word.to_le_bytes()));
    if compression == 3 {
        bytes.extend([0xff_0000_u32, 0xff00, 0xff].iter().flat_map(|mask| mask.to_le_bytes()));
    }
    if bits <= 8 {
        bytes.extend((0..4 << bits).map(|byte| byte as u8));
    }
    bytes.extend((0..stride * height.unsigned_abs() as usize).map(|byte| byte as u8));
    bytes
}
