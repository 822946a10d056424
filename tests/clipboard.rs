//! The shared clipboard between a host and programs of a real X server that are not ours.
//!
//! Without the programs for it, every test is shown as ignored, with the reason.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bellhop_desktop::Desktop;
use bellhop_desktop::x11::X11Clipboards;
use bellhop_xserver::{Missing, Program, XServer};
use driver_core::wire::shared_clipboard::{Formats, Function, Mode};
use driver_core::wire::{RequestType, Status};
use libtest_mimic::Failed;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::{PATIENCE, Rig, Setup, eventually, says, suite};
use vmmdev::{Fault, HgcmFault, HgcmService, Host, Times, content};
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{AtomEnum, ConnectionExt as _, CreateWindowAux, WindowClass};
use x11rb::wrapper::ConnectionExt as _;

const TESTS: &[suite::Named] = &[
    ("text_of_the_host_is_pasted_in_the_guest", text_of_the_host_is_pasted),
    ("text_of_the_guest_is_pasted_at_the_host", text_of_the_guest_is_pasted),
    ("any_text_survives_the_way_there_and_back", any_text_survives),
    ("html_crosses_both_ways", html_crosses_both_ways),
    ("a_picture_crosses_both_ways_as_png", a_picture_crosses_both_ways),
    ("a_4k_screenshot_crosses_both_ways_intact", a_4k_screenshot_crosses),
    ("64_mib_of_text_cross_both_ways_intact", large_text_crosses),
    ("all_formats_are_announced_at_once_and_only_one_is_fetched", all_formats_are_announced),
    ("what_was_copied_before_the_start_is_announced", what_was_copied_before_the_start),
    ("an_owner_that_hangs_does_not_block_later_ones", an_owner_that_hangs),
    ("an_owner_that_is_killed_during_a_large_read_does_not_block_later_ones", an_owner_that_is_killed),
    ("a_host_that_announces_and_then_fails_does_not_block_later_pastes", a_host_that_fails),
    ("a_host_that_asks_to_try_again_is_asked_again", a_host_that_asks_to_try_again),
    ("a_host_that_floods_ends_with_its_last_word", a_host_that_floods),
    ("ten_thousand_owners_end_with_the_last", ten_thousand_owners),
    ("the_host_s_mode_is_kept_to", the_host_s_mode_is_kept_to),
    ("a_grant_of_one_direction_is_kept_to", a_grant_of_one_direction),
    ("content_beyond_the_grant_does_not_cross", content_beyond_the_grant),
    ("an_x_server_that_comes_back_is_used_again", an_x_server_that_comes_back),
    ("a_restored_machine_goes_on", a_restored_machine_goes_on),
    ("a_stopped_agent_gives_the_selection_up", a_stopped_agent_gives_the_selection_up),
];

const NEEDED: [Program; 3] =
    [Program::of("Xvfb", "xvfb"), Program::of("xclip", "xclip"), Program::of("xsel", "xsel")];

/// How long a host waits for its guest.
const HOST_WAITS: Duration = Duration::from_secs(5);

fn main() {
    let lacking: Option<Missing> = NEEDED.into_iter().find_map(|program| program.find().err());
    // One after the other: some move much data, and all have deadlines of their own to keep.
    suite::run(TESTS, lacking.as_ref(), Some(1))
}

/// An X server, and an agent with the clipboard plugin on it.
struct Scene {
    rig: Rig,
    server: XServer,
}

impl Scene {
    fn new(name: &str, changes: &str) -> Result<Self, Failed> {
        Ok(Self::on(XServer::virtual_framebuffer(640, 480)?, name, changes))
    }

    fn on(server: XServer, name: &str, changes: &str) -> Self {
        let desktop = Desktop {
            clipboards: Arc::new(X11Clipboards::new(Some(server.display()))),
            ..Desktop::headless(1)
        };
        let rig = Setup::new().rig().desktop(desktop).reference("clipboard", name, changes).start();
        let scene = Self { rig, server };
        eventually("the plugin waits for the host's messages", || {
            scene.host().hgcm_clients().iter().any(|client| client.waiting.len() == 1)
        });
        scene
    }

    fn host(&self) -> &Host {
        &self.rig.host
    }

    /// Copies something in the guest; it is owned until something else is copied.
    fn copy(&self, format: &str, content: &[u8]) -> Result<(), Failed> {
        copy(&self.server, format, content)
    }

    /// Copies something in the guest, and waits until the host knows that there is something like it.
    fn copied(&self, format: &str, content: &[u8], formats: Formats) -> Result<(), Failed> {
        self.copy(format, content)?;
        self.host().wait_clipboard(PATIENCE, |found| found.contains(formats))?;
        Ok(())
    }

    /// Pastes in the guest, whatever comes of it.
    fn paste(&self, format: &str) -> Result<Output, Failed> {
        let mut command = xclip(&self.server);
        Ok(command.args(["-o", "-t", format]).stdin(Stdio::null()).output()?)
    }

    /// Pastes in the guest, once the format is offered.
    fn pasted(&self, format: &str) -> Result<Vec<u8>, Failed> {
        eventually(&format!("{format} is offered"), || {
            self.targets().is_ok_and(|targets| targets.lines().any(|target| target == format))
        });
        let output = self.paste(format)?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        Ok(output.stdout)
    }

    fn targets(&self) -> Result<String, Failed> {
        Ok(String::from_utf8(self.paste("TARGETS")?.stdout)?)
    }

    fn put_text(&self, text: &str) -> Result<(), Failed> {
        Ok(self.host().clipboard_put([(Formats::TEXT, content::text(text))])?)
    }

    fn get_text(&self) -> Result<String, Failed> {
        Ok(content::text_of(&self.host().clipboard_get(Formats::TEXT, HOST_WAITS)?)?)
    }

    /// Waits until a paste in the guest gives this text.
    fn pastes(&self, text: &str) {
        eventually(&format!("{text:?} is pasted"), || {
            self.paste("UTF8_STRING").is_ok_and(|output| output.stdout == text.as_bytes())
        });
    }

    /// Waits until the host gets this text.
    fn gets(&self, text: &str) {
        eventually(&format!("the host gets {text:?}"), || self.get_text().is_ok_and(|found| found == text));
    }

    /// A process of this name on this display.
    fn process(&self, name: &str) -> Result<Pid, Failed> {
        let display = format!("DISPLAY={}", self.server.display());
        for entry in std::fs::read_dir("/proc")?.flatten() {
            let path: PathBuf = entry.path();
            let (Ok(found), Ok(environment)) =
                (std::fs::read_to_string(path.join("comm")), std::fs::read(path.join("environ")))
            else {
                continue;
            };
            let ours = environment.split(|byte| *byte == 0).any(|pair| pair == display.as_bytes());
            if ours && found.trim() == name {
                return Ok(Pid::from_raw(entry.file_name().to_string_lossy().parse()?));
            }
        }
        Err(format!("no {name} on {display}").into())
    }
}

fn xclip(server: &XServer) -> Command {
    let mut command = Command::new("xclip");
    command.args(["-selection", "clipboard"]).env("DISPLAY", server.display()).stderr(Stdio::piped());
    command
}

fn copy(server: &XServer, format: &str, content: &[u8]) -> Result<(), Failed> {
    // It goes on in the background, where it must not hold our pipes open.
    let mut command = xclip(server);
    command.args(["-i", "-t", format]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut process = command.spawn()?;
    process.stdin.take().ok_or("no pipe")?.write_all(content)?;
    match process.wait()?.success() {
        true => Ok(()),
        false => Err("xclip failed".into()),
    }
}

/// A picture of these sizes in which no two rows are the same, as a `.png` file.
fn picture(width: u32, height: u32) -> Result<Vec<u8>, Failed> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::Fast);
    let pixel = |index: u32| {
        let (x, y) = (index % width, index / width);
        [(x ^ y) as u8, (x * 3 + y * 7) as u8, (y / 3) as u8]
    };
    let pixels: Vec<u8> = (0..width * height).flat_map(pixel).collect();
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(file)
}

/// The width and the pixels of a `.png` file, three bytes each.
fn pixels(file: &[u8]) -> Result<(u32, Vec<u8>), Failed> {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(file));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info()?;
    let mut all = vec![0; reader.output_buffer_size().ok_or("too large")?];
    let info = reader.next_frame(&mut all)?;
    let size = info.color_type.samples();
    let rgb = all.chunks_exact(size).flat_map(|pixel| pixel[..3].iter().copied()).collect();
    Ok((info.width, rgb))
}

fn text_of_the_host_is_pasted() -> Result<(), Failed> {
    let scene = Scene::new("clip-paste", "")?;

    scene.put_text("from the host\nä 😀")?;

    assert_eq!(scene.pasted("UTF8_STRING")?, "from the host\nä 😀".as_bytes());
    let by_xsel = Program::of("xsel", "xsel").run(scene.server.display(), &["--clipboard", "--output"])?;
    assert_eq!(by_xsel, "from the host\nä 😀");
    Ok(())
}

fn text_of_the_guest_is_pasted() -> Result<(), Failed> {
    let scene = Scene::new("clip-copy", "")?;

    scene.copied("UTF8_STRING", "from the guest\nö 🚲".as_bytes(), Formats::TEXT)?;

    assert_eq!(scene.get_text()?, "from the guest\nö 🚲");
    Ok(())
}

fn any_text_survives() -> Result<(), Failed> {
    let scene = Scene::new("clip-unicode", "")?;
    let every: String =
        (1..=0x10_ffff_u32).step_by(17).filter_map(char::from_u32).filter(|c| *c != '\r').collect();
    for text in ["x", "\n", "a\n\nb\n", " \t ", "\u{feff}x", "\u{10ffff}\u{fffd}", &every] {
        scene.put_text(text)?;
        // A byte order mark at the very start is no part of the text, by the protocol.
        let expected = text.strip_prefix('\u{feff}').unwrap_or(text);
        scene.pastes(expected);

        scene.copied("UTF8_STRING", expected.as_bytes(), Formats::TEXT)?;
        scene.gets(expected);
    }
    Ok(())
}

fn html_crosses_both_ways() -> Result<(), Failed> {
    let scene = Scene::new("clip-html", "")?;

    scene.host().clipboard_put([(Formats::HTML, content::html(b"<b>h\xc3\xb6st</b>"))])?;
    assert_eq!(scene.pasted("text/html")?, "<b>höst</b>".as_bytes());
    scene.copied("text/html", b"<i>guest</i>", Formats::HTML)?;

    let wire = scene.host().clipboard_get(Formats::HTML, HOST_WAITS)?;
    assert_eq!(content::html_of(&wire), b"<i>guest</i>");
    Ok(())
}

fn a_picture_crosses_both_ways() -> Result<(), Failed> {
    picture_crosses("clip-picture", 37, 21)
}

fn a_4k_screenshot_crosses() -> Result<(), Failed> {
    picture_crosses("clip-4k", 3840, 2160)
}

fn picture_crosses(name: &str, width: u32, height: u32) -> Result<(), Failed> {
    let scene = Scene::new(name, "")?;
    let file = picture(width, height)?;
    let expected = pixels(&file)?;

    scene.host().clipboard_put([(Formats::BITMAP, content::png(&file)?)])?;
    assert!(pixels(&scene.pasted("image/png")?)? == expected, "what was pasted differs");
    let bmp = scene.pasted("image/bmp")?;
    assert!(bmp.starts_with(b"BM"), "{:?}", bmp.get(..4));
    scene.copied("image/png", &file, Formats::BITMAP)?;

    let wire = scene.host().clipboard_get(Formats::BITMAP, PATIENCE)?;
    assert!(pixels(&content::png_file(&wire)?)? == expected, "what the host got differs");
    Ok(())
}

fn large_text_crosses() -> Result<(), Failed> {
    let scene = Scene::new("clip-large", "")?;
    // Letters of two bytes, here as there: of ASCII the wire carries less than 64 MiB.
    let line = "åäöøæéèêëßñõçðþý ÅÄÖØÆÉÈÊËSÑÕÇÐÞÝ\n";
    let text = line.repeat((64 << 20) / line.len());

    let expected = content::text(&text);

    scene.host().clipboard_put([(Formats::TEXT, expected.clone())])?;
    assert!(scene.pasted("UTF8_STRING")? == text.as_bytes(), "what was pasted differs");
    scene.copied("UTF8_STRING", text.as_bytes(), Formats::TEXT)?;

    // A guest that is short of time answers with nothing before the host gives up, and is asked again.
    let mut wire = Vec::new();
    eventually("the host gets it", || {
        let got = scene.host().clipboard_get(Formats::TEXT, PATIENCE);
        got.map(|got| wire = got).is_ok()
    });
    assert!(wire == expected, "what the host got differs");
    Ok(())
}

fn all_formats_are_announced() -> Result<(), Failed> {
    let scene = Scene::new("clip-formats", "")?;
    let file = picture(4, 4)?;
    // Whatever is fetched first fails, so that a paste which fails was the first to fetch anything.
    let failing = HgcmFault::Answer(Status::GENERAL_FAILURE);
    let fault =
        Fault::Hgcm { function: Some((HgcmService::Clipboard, Function::DATA_READ.0)), fault: failing };
    scene.host().inject(RequestType::HGCM_CALL_64, fault, Times::Next(1));

    scene.host().clipboard_put([
        (Formats::TEXT, content::text("x")),
        (Formats::HTML, content::html(b"<b>x</b>")),
        (Formats::BITMAP, content::png(&file)?),
    ])?;
    eventually("all are offered", || {
        let targets = scene.targets().unwrap_or_default();
        ["UTF8_STRING", "text/html", "image/png", "image/bmp"]
            .iter()
            .all(|wanted| targets.lines().any(|target| target == *wanted))
    });

    assert!(scene.paste("text/html")?.stdout.is_empty(), "something was fetched that nobody pasted");
    assert_eq!(scene.pasted("text/html")?, b"<b>x</b>");
    Ok(())
}

fn what_was_copied_before_the_start() -> Result<(), Failed> {
    let server = XServer::virtual_framebuffer(640, 480)?;
    copy(&server, "UTF8_STRING", b"early")?;

    let scene = Scene::on(server, "clip-early", "");

    scene.host().wait_clipboard(PATIENCE, |formats| formats.contains(Formats::TEXT))?;
    assert_eq!(scene.get_text()?, "early");
    Ok(())
}

fn an_owner_that_hangs() -> Result<(), Failed> {
    let scene = Scene::new("clip-hang", "")?;
    scene.copied("UTF8_STRING", b"hangs", Formats::TEXT)?;
    let owner = scene.process("xclip")?;
    kill(owner, Signal::SIGSTOP)?;

    let refused = scene.get_text();
    kill(owner, Signal::SIGCONT)?;
    assert!(refused.is_err(), "{refused:?}");
    scene.copy("UTF8_STRING", b"answers")?;

    scene.gets("answers");
    Ok(())
}

fn an_owner_that_is_killed() -> Result<(), Failed> {
    let scene = Scene::new("clip-killed", "")?;
    for _ in 0..5 {
        scene.copied("UTF8_STRING", "x".repeat(30 << 20).as_bytes(), Formats::TEXT)?;
        let owner = scene.process("xclip")?;
        std::thread::scope(|scope| {
            let get = scope.spawn(|| scene.host().clipboard_get(Formats::TEXT, HOST_WAITS).map(drop));
            std::thread::sleep(Duration::from_millis(20));
            let killed = kill(owner, Signal::SIGKILL);
            // By then it may have given all; that it ends is what counts.
            let _ = get.join();
            killed
        })?;
    }

    scene.copy("UTF8_STRING", b"alive")?;

    scene.gets("alive");
    Ok(())
}

fn a_host_that_fails() -> Result<(), Failed> {
    let scene = Scene::new("clip-host-fails", "")?;
    let fault =
        |fault| Fault::Hgcm { function: Some((HgcmService::Clipboard, Function::DATA_READ.0)), fault };
    let failing = fault(HgcmFault::Answer(Status::GENERAL_FAILURE));
    scene.put_text("never seen")?;
    eventually("it is offered", || scene.targets().is_ok_and(|targets| targets.contains("UTF8_STRING")));
    scene.host().inject(RequestType::HGCM_CALL_64, failing, Times::Always);

    let refused = scene.paste("UTF8_STRING")?;
    assert!(refused.stdout.is_empty(), "{refused:?}");
    scene.host().clear_faults();

    scene.put_text("seen")?;
    scene.pastes("seen");
    Ok(())
}

fn a_host_that_asks_to_try_again() -> Result<(), Failed> {
    let scene = Scene::new("clip-again", "")?;
    scene.put_text("at last")?;
    eventually("it is offered", || scene.targets().is_ok_and(|targets| targets.contains("UTF8_STRING")));
    let again = HgcmFault::Answer(Status::TRY_AGAIN);
    let fault = Fault::Hgcm { function: Some((HgcmService::Clipboard, Function::DATA_READ.0)), fault: again };
    scene.host().inject(RequestType::HGCM_CALL_64, fault, Times::Next(2));

    assert_eq!(scene.paste("UTF8_STRING")?.stdout, b"at last");
    Ok(())
}

fn a_host_that_floods() -> Result<(), Failed> {
    let scene = Scene::new("clip-flood", "")?;
    for number in 0..3000 {
        scene.put_text(&number.to_string())?;
    }
    scene.put_text("the last")?;

    scene.pastes("the last");
    scene.copy("UTF8_STRING", b"and back")?;
    scene.gets("and back");
    Ok(())
}

fn ten_thousand_owners() -> Result<(), Failed> {
    let scene = Scene::new("clip-owners", "")?;
    let (x, screen) = x11rb::connect(Some(scene.server.display()))?;
    let root = x.setup().roots[screen].root;
    let window = x.generate_id()?;
    x.create_window(0, window, root, 0, 0, 1, 1, 0, WindowClass::INPUT_ONLY, 0, &CreateWindowAux::new())?;
    let clipboard = x.intern_atom(false, b"CLIPBOARD")?.reply()?.atom;
    for _ in 0..10_000 {
        x.set_selection_owner(window, clipboard, x11rb::CURRENT_TIME)?;
    }
    x.change_property8(
        x11rb::protocol::xproto::PropMode::REPLACE,
        window,
        AtomEnum::WM_NAME,
        AtomEnum::STRING,
        b"x",
    )?;
    x.sync()?;

    scene.copy("UTF8_STRING", b"the last owner")?;

    scene.gets("the last owner");
    Ok(())
}

fn the_host_s_mode_is_kept_to() -> Result<(), Failed> {
    let scene = Scene::new("clip-mode", "")?;
    scene.host().clipboard_mode(Mode::OFF);
    scene.copy("UTF8_STRING", b"stays here")?;
    assert!(scene.get_text().is_err());
    assert!(scene.put_text("stays there").is_err());

    scene.host().clipboard_mode(Mode::HOST_TO_GUEST);
    scene.put_text("to the guest")?;
    scene.pastes("to the guest");
    assert!(scene.get_text().is_err());
    scene.host().clipboard_mode(Mode::GUEST_TO_HOST);
    scene.copied("UTF8_STRING", b"to the host", Formats::TEXT)?;
    scene.gets("to the host");
    scene.host().clipboard_mode(Mode::BIDIRECTIONAL);
    scene.put_text("to the guest again")?;

    scene.pastes("to the guest again");
    Ok(())
}

fn a_grant_of_one_direction() -> Result<(), Failed> {
    let scene = Scene::new("clip-one-way", r#"grants.clipboard.direction = "host-to-guest""#)?;

    scene.put_text("to the guest")?;
    scene.pastes("to the guest");
    scene.copy("UTF8_STRING", b"stays here")?;

    assert!(scene.get_text().is_err());
    assert!(scene.host().clipboard_formats().is_none_or(|formats| formats.is_empty()));
    Ok(())
}

fn content_beyond_the_grant() -> Result<(), Failed> {
    let scene = Scene::new("clip-size", r#"grants.clipboard.largest = "10 KiB""#)?;

    scene.put_text(&"x".repeat(20 << 10))?;
    eventually("it is offered", || scene.targets().is_ok_and(|targets| targets.contains("UTF8_STRING")));
    assert!(scene.paste("UTF8_STRING")?.stdout.is_empty());
    scene.copied("UTF8_STRING", "x".repeat(20 << 10).as_bytes(), Formats::TEXT)?;
    assert!(scene.get_text().is_err());

    scene.copy("UTF8_STRING", b"small")?;
    scene.gets("small");
    Ok(())
}

fn an_x_server_that_comes_back() -> Result<(), Failed> {
    let mut scene = Scene::new("clip-gone", "")?;
    scene.put_text("before")?;
    scene.pastes("before");

    scene.server.kill();
    scene.server.restart()?;
    eventually("the guest's clipboard is watched again", || {
        let copied = scene.copy("UTF8_STRING", b"after");
        copied.is_ok() && scene.get_text().is_ok_and(|text| text == "after")
    });
    scene.host().wait_clipboard(PATIENCE, |formats| formats.contains(Formats::TEXT))?;
    scene.put_text("and back")?;

    scene.pastes("and back");
    Ok(())
}

fn a_restored_machine_goes_on() -> Result<(), Failed> {
    let scene = Scene::new("clip-restored", "")?;
    scene.copied("UTF8_STRING", b"before", Formats::TEXT)?;
    let saved = scene.host().save();

    scene.host().restore(&saved);

    scene.gets("before");
    scene.put_text("after")?;
    scene.pastes("after");
    Ok(())
}

fn a_stopped_agent_gives_the_selection_up() -> Result<(), Failed> {
    let mut scene = Scene::new("clip-stop", "")?;
    scene.put_text("gone with the agent")?;
    scene.pastes("gone with the agent");

    scene.rig.stop();

    assert!(scene.paste("UTF8_STRING")?.stdout.is_empty());
    assert_eq!(scene.host().hgcm_clients().len(), 0);
    says("clip-stop", "Plugin runs");
    Ok(())
}
