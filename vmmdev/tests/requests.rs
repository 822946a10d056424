//! What each request does (protocol reference, 4 and 5).

mod guest;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use driver_core::wire::*;
use guest::{Guest, bare, set_word};
use vmmdev::{Credentials, Settings};

#[test]
fn the_host_tells_its_version_and_features_before_it_knows_the_guest() {
    let guest = Guest::silent();
    let (status, answer) = guest.ask(GetHostVersion::new());
    assert_eq!(status, Status::SUCCESS);
    assert_eq!((answer.major.get(), answer.minor.get()), (7, 2));
    assert_eq!(answer.features.get(), 0x8000_000F);
}

#[test]
fn host_time_is_milliseconds_since_the_epoch_unless_the_host_hides_it() {
    let guest = Guest::reported();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;

    let told = guest.ask(GetHostTime::new()).1.milliseconds.get();

    assert!(told.abs_diff(now) < 60_000);
    guest.host.configure(|settings| settings.host_time = false);
    assert_eq!(guest.ask(GetHostTime::new()).0, Status::NOT_SUPPORTED);
}

#[test]
fn the_session_id_stays_until_reset() {
    let guest = Guest::reported();
    let id = guest.ask(GetSessionId::new()).1.id.get();
    assert_eq!(id, guest.host.session_id());
    assert_eq!(guest.ask(GetSessionId::new()).1.id.get(), id);
}

#[test]
fn additions_are_reported_before_or_after_the_guest() {
    let guest = Guest::silent();
    let mut request = ReportGuestInfo2::new();
    (request.major, request.minor, request.build) = (6.into(), 0.into(), 0.into());
    request.revision = 127_566.into();
    request.features = 1.into();
    request.name[..5].copy_from_slice(b"6.0.0");

    assert_eq!(guest.ask(request.clone()).0, Status::SUCCESS);

    let additions = guest.host.guest().additions.expect("reported");
    assert_eq!((additions.version, additions.revision), ((6, 0, 0), 127_566));
    assert_eq!(additions.name, "6.0.0");
    request.name[0] = b'7';
    assert_eq!(guest.ask(request.clone()).0, Status::INVALID_PARAMETER);
    request.name.fill(b'6');
    assert_eq!(guest.ask(request).0, Status::INVALID_PARAMETER);
}

fn report_status(guest: &Guest, facility: u32, status: u32) -> Status {
    let mut request = ReportGuestStatus::new();
    request.facility = facility.into();
    request.status = status.into();
    guest.ask(request).0
}

#[test]
fn a_facility_s_status_must_fit_16_bits() {
    let guest = Guest::reported();
    assert_eq!(report_status(&guest, 100, 50), Status::SUCCESS);
    assert_eq!(report_status(&guest, 100, 0x1_0000), Status::OUT_OF_RANGE);
    assert_eq!(guest.host.guest().facility(Facility::SERVICE), Some(FacilityStatus::ACTIVE));
}

#[test]
fn a_full_table_of_facilities_is_out_of_resources_until_one_is_inactive() {
    let guest = Guest::reported();
    for facility in 2000..2027 {
        assert_eq!(report_status(&guest, facility, 50), Status::SUCCESS);
    }
    assert_eq!(report_status(&guest, 3000, 50), Status::OUT_OF_RESOURCES);
    assert_eq!(report_status(&guest, 1100, 50), Status::SUCCESS);
    assert_eq!(report_status(&guest, 2003, 0), Status::SUCCESS);
    assert_eq!(report_status(&guest, 3000, 50), Status::SUCCESS);
}

#[test]
fn capabilities_are_added_and_removed_and_the_legacy_report_implies_graphics() {
    let guest = Guest::reported();
    let mut set = SetGuestCapabilities::new();
    set.or_mask = 0xFFFF_FFF1.into();
    set.not_mask = 0x4.into();
    guest.ask(set);
    assert_eq!(guest.host.guest().capabilities, Capabilities::SEAMLESS);

    let mut report = ReportGuestCapabilities::new();
    report.capabilities = 0x2.into();
    guest.ask(report);
    let expected = Capabilities::WINDOW_MAPPING | Capabilities::GRAPHICS;
    assert_eq!(guest.host.guest().capabilities, expected);
}

#[test]
fn a_guest_changes_only_its_own_mouse_bits() {
    let guest = Guest::wanting(Events::MOUSE_CAPABILITIES_CHANGED);
    guest.host.set_mouse(MouseFeatures::HOST_WANTS_ABSOLUTE);
    assert_eq!(guest.acknowledge(), 0x1);
    let mut set = SetMouseStatus::new();
    set.features = 0xFFFF_FFFF.into();

    guest.ask(set);

    assert_eq!(guest.ask(GetMouseStatus::new()).1.features.get(), 0x95 | 0x2);
    assert_eq!(guest.host.guest().mouse, MouseFeatures::GUEST_MASK);
    guest.host.set_mouse(MouseFeatures::HOST_WANTS_ABSOLUTE | MouseFeatures::GUEST_CAN_ABSOLUTE);
    assert!(!guest.line(), "no bit of the host's changed");
}

#[test]
fn the_pointer_s_position_wheels_and_buttons_are_read() {
    let guest = Guest::wanting(Events::MOUSE_POSITION_CHANGED);
    guest.host.move_pointer(0x8000, 0xFFFF, MouseButtons::LEFT | MouseButtons::X2);
    guest.host.turn_wheel(-3, 1);
    assert_eq!(guest.acknowledge(), 0x200);

    let (_, full) = guest.ask(GetMouseStatusEx::new());

    assert_eq!((full.x.get(), full.y.get(), full.buttons.get()), (0x8000, 0xFFFF, 0x11));
    assert_eq!((full.wheel.get(), full.tilt.get()), (-3, 1));
    assert_eq!(guest.ask(GetMouseStatusEx::new()).1.wheel.get(), 0, "handed out once");
}

#[test]
fn a_pointer_shape_is_kept_and_its_visibility_changes_alone() {
    let guest = Guest::reported();
    let shape = pointer::Shape {
        hot_x: 1,
        hot_y: 2,
        width: 8,
        height: 2,
        and_mask: vec![0xF0; 2],
        pixels: vec![7; 64],
    };
    let visible = pointer::Pointer { flags: PointerFlags::VISIBLE, shape: Some(shape) };
    let packet = pointer::request(&visible).expect("fits");
    assert_eq!(guest.ask_bytes(&packet).0, Status::SUCCESS);
    assert_eq!(guest.ask_bytes(&bare(3, 48)).0, Status::SUCCESS);

    let kept = guest.host.guest().pointer.expect("a pointer");

    assert_eq!((kept.visible, kept.size, kept.hot_spot), (false, (8, 2), (1, 2)));
    assert_eq!((kept.and_mask.len(), kept.pixels.len()), (2, 64));
}

#[test]
fn a_pointer_shape_that_does_not_fit_its_packet_is_refused() {
    let guest = Guest::reported();
    for (width, height) in [(8192, 8192), (8193, 1), (1, u32::MAX), (64, 64)] {
        let mut packet = bare(3, 49);
        set_word(&mut packet, 36, width);
        set_word(&mut packet, 40, height);
        assert_eq!(guest.ask_bytes(&packet).0, Status::INVALID_PARAMETER, "{width}x{height}");
    }
}

#[test]
fn the_statistics_interval_rings_until_acknowledged() {
    let guest = Guest::wanting(Events::STATISTICS_INTERVAL_CHANGE);
    assert!(guest.host.set_statistics_interval(5));
    let mut request = GetStatisticsChangeRequest::new();
    request.acknowledge = 0x80.into();

    assert_eq!(guest.ask(request).1.interval.get(), 5);

    assert!(!guest.host.set_statistics_interval(5));
    assert!(guest.host.set_statistics_interval(0));
}

#[test]
fn statistics_are_kept_per_processor_as_far_as_they_are_valid() {
    let guest = Guest::reported();
    let mut request = ReportGuestStats::new();
    request.cpu = 1.into();
    request.valid = (StatisticsMask::CPU_IDLE | StatisticsMask::PAGE_FILE).bits().into();
    (request.cpu_idle, request.cpu_user, request.page_file) = (97.into(), 3.into(), 12.into());

    assert_eq!(guest.ask(request).0, Status::SUCCESS);

    let kept = guest.host.guest().statistics[&1];
    assert_eq!((kept.cpu_idle, kept.cpu_user, kept.page_file), (Some(97), None, Some(12)));
}

#[test]
fn statistics_of_endless_processors_are_refused() {
    let guest = Guest::reported();
    let report = |cpu: u32| {
        let mut request = ReportGuestStats::new();
        request.cpu = cpu.into();
        guest.ask(request).0
    };
    assert!((0..256).all(|cpu| report(cpu) == Status::SUCCESS));
    assert_eq!(report(256), Status::OUT_OF_RESOURCES);
    assert_eq!(report(0), Status::SUCCESS);
}

#[test]
fn power_states_are_noted_and_saving_may_be_forbidden() {
    let guest = Guest::reported();
    let set = |state: u32| {
        let mut request = SetPowerStatus::new();
        request.state = state.into();
        guest.ask(request).0
    };
    assert_eq!(set(2), Status::SUCCESS);
    assert_eq!(guest.host.guest().power, Some(PowerState::POWER_OFF));
    assert_eq!([set(0), set(4)], [Status::INVALID_PARAMETER; 2]);
    assert_eq!(set(3), Status::SUCCESS);
    guest.host.configure(|settings| settings.save_state = false);
    assert_eq!(set(3), Status::ACCESS_DENIED);
}

#[test]
fn remote_display_rings_for_on_and_off_only() {
    let guest = Guest::wanting(Events::VRDP);
    guest.host.set_vrdp(true, VrdpExperience::HIGH);
    assert_eq!(guest.acknowledge(), 0x100);

    guest.host.set_vrdp(true, VrdpExperience::LOW);

    assert!(!guest.line());
    let (_, answer) = guest.ask(GetVRDPChangeRequest::new());
    assert_eq!((answer.active, answer.experience.get()), (1, 1));
}

fn alice() -> Credentials {
    Credentials {
        user: "alice".to_owned(),
        password: "secret".to_owned(),
        domain: "d".repeat(200),
        local_logon: false,
    }
}

fn query(guest: &Guest, flags: u32) -> QueryCredentials {
    let mut request = QueryCredentials::new();
    request.flags = flags.into();
    request.user.fill(0xFF);
    guest.ask(request).1
}

#[test]
fn credentials_are_present_read_and_cleared() {
    let guest = Guest::reported();
    assert_eq!(query(&guest, 0x2).flags.get(), 0x2);
    guest.host.set_credentials(Some(alice()));
    assert_eq!(query(&guest, 0x2).flags.get(), 0x1_0002);

    let read = query(&guest, 0x4 | 0x8);

    assert_eq!(read.flags.get(), 0x2_000C);
    assert_eq!(&read.user[..6], b"alice\0");
    assert_eq!(&read.password[..7], b"secret\0");
    assert_eq!(read.domain[127], 0, "always terminated");
    assert_eq!(query(&guest, 0x2).flags.get(), 0x2);
    assert_eq!(query(&guest, 0x4).user, [0; 128]);
}

#[test]
fn credentials_to_be_judged_ring_and_denial_wins() {
    let guest = Guest::wanting(Events::JUDGE_CREDENTIALS);
    guest.host.judge_credentials(alice());
    assert_eq!(guest.acknowledge(), 0x8);
    assert_eq!(&query(&guest, 0x100 | 0x200).user[..5], b"alice");
    assert_eq!(query(&guest, 0x100).user, [0; 128]);

    let mut judgement = ReportCredentialsJudgement::new();
    judgement.flags = (0x400 | 0x800 | 0x1000).into();
    guest.ask(judgement);

    assert_eq!(guest.host.guest().judgement, Some(CredentialsFlags::JUDGE_DENY));
}

#[test]
fn a_password_is_not_debug_output() {
    assert!(!format!("{:?}", alice()).contains("secret"));
}

#[test]
fn a_processor_is_announced_once_to_a_guest_that_wants_to_hear() {
    let guest = Guest::wanting(Events::CPU_HOTPLUG);
    let refused = guest.host.hot_plug_cpu(CpuEvent::UNPLUG, 1, 0);
    assert_eq!(refused, Err(Status::CPU_HOTPLUG_NOT_MONITORED));
    let mut enable = SetCpuHotPlugStatus::new();
    enable.status = 2.into();
    guest.ask(enable);

    assert_eq!(guest.host.hot_plug_cpu(CpuEvent::UNPLUG, 1, 0), Ok(()));

    assert_eq!(guest.acknowledge(), 0x400);
    let read = || {
        let (_, answer) = guest.ask(GetCpuHotPlugRequest::new());
        (answer.event.get(), answer.core.get(), answer.package.get())
    };
    assert_eq!(read(), (3, 1, 0));
    assert_eq!(read(), (1, u32::MAX, u32::MAX));
}

#[test]
fn heartbeats_are_refused_unless_the_host_is_set_to_take_them() {
    let guest = Guest::reported();
    let mut configure = HeartbeatConfigure::new();
    configure.enabled = 1;
    assert_eq!(guest.ask(configure.clone()).0, Status::NOT_SUPPORTED);
    guest.host.configure(|settings| settings.heartbeat = Some(Duration::from_secs(2)));

    let (status, answer) = guest.ask(configure);

    assert_eq!((status, answer.interval.get()), (Status::SUCCESS, 2_000_000_000));
    assert_eq!(guest.ask(GuestHeartbeat::new()).0, Status::SUCCESS);
    let heartbeat = guest.host.guest().heartbeat;
    assert_eq!((heartbeat.enabled, heartbeat.beats), (true, 1));
}

#[test]
fn the_balloon_grows_and_shrinks_by_whole_chunks() {
    let guest = Guest::wanting(Events::BALLOON_CHANGE);
    assert!(guest.host.set_balloon(3));
    let change = |pages: u32, inflate: u32, first: u64| {
        let mut request = ChangeMemBalloon::new();
        request.pages = pages.into();
        request.inflate = inflate.into();
        request.addresses[0] = first.into();
        guest.ask(request).0
    };
    assert_eq!(guest.ask(GetMemBalloonChangeRequest::new()).1.balloon.get(), 3);

    assert_eq!(change(256, 1, 0x1000), Status::SUCCESS);
    assert_eq!(guest.host.guest().balloon_mib, 1);
    assert_eq!(change(255, 1, 0), Status::INVALID_PARAMETER);
    assert_eq!(change(256, 1, 0x1001), Status::INVALID_PARAMETER);
    assert_eq!(change(256, 0, 0), Status::SUCCESS);
    assert_eq!(change(256, 0, 0), Status::INVALID_PARAMETER, "nothing is left in it");
}

#[test]
fn users_are_kept_by_name_and_domain() {
    let guest = Guest::reported();
    let report = user_state::UserState {
        state: GuestUserState::LOCKED,
        user: "alice".to_owned(),
        domain: "example.org".to_owned(),
        details: vec![1],
    };
    let packet = user_state::request(&report).expect("fits");
    assert_eq!(guest.ask_bytes(&packet).0, Status::SUCCESS);
    assert_eq!(guest.host.guest().users["alice@example.org"].state, GuestUserState::LOCKED);
    assert_eq!(guest.ask_bytes(&bare(74, 44)).0, Status::INVALID_PARAMETER);
}

#[test]
fn log_lines_are_kept_by_debug_hosts_alone() {
    let guest = Guest::reported();
    let packet = log_string::request("hello").expect("fits");
    assert_eq!(guest.ask_bytes(&packet).0, Status::NOT_IMPLEMENTED);
    guest.host.configure(|settings| settings.log_strings = true);

    assert_eq!(guest.ask_bytes(&packet).0, Status::SUCCESS);

    assert_eq!(guest.host.guest().log, ["hello"]);
}

#[test]
fn what_this_host_does_not_do_is_refused_by_its_proper_status() {
    let guest = Guest::reported();
    let cases = [
        (20, 32, Status::SUCCESS),
        (21, 32, Status::SUCCESS),
        (22, 36, Status::NOT_SUPPORTED),
        (60, 168, Status::HGCM_SERVICE_NOT_FOUND),
        (61, 36, Status::HGCM_INVALID_CLIENT_ID),
        (62, 44, Status::HGCM_INVALID_CLIENT_ID),
        (63, 44, Status::HGCM_INVALID_CLIENT_ID),
        (65, 28, Status::INVALID_PARAMETER),
        (65, 32, Status::INVALID_PARAMETER),
        (212, 208, Status::NOT_SUPPORTED),
        (213, 184, Status::NOT_SUPPORTED),
        (214, 24, Status::NOT_SUPPORTED),
        (215, 28, Status::SUCCESS),
        (216, 44, Status::NOT_IMPLEMENTED),
        (218, 28, Status::ACCESS_DENIED),
        (221, 24, Status::SUCCESS),
        (221, 64, Status::SUCCESS),
    ];
    for (number, size, expected) in cases {
        assert_eq!(guest.ask_bytes(&bare(number, size)).0, expected, "{number}");
    }
}

#[test]
fn hypervisor_space_is_refused() {
    let guest = Guest::reported();
    let mut request = SetHypervisorInfo::new();
    request.start = 0xC000_0000.into();
    assert_eq!(guest.ask(request).0, Status::TRY_AGAIN);
}

// The requests of Linux's driver at probe, of which 4, 58 or 50, 42, 56 and 2 must succeed.
#[test]
fn the_kernel_s_driver_would_bind() {
    let guest = Guest::silent();
    let mut info = ReportGuestInfo2::new();
    (info.major, info.minor, info.build) = (6.into(), 0.into(), 0.into());
    info.name[..5].copy_from_slice(b"6.0.0");
    let version = guest.ask(GetHostVersion::new());
    assert_eq!((version.0, version.1.features.get() & 1), (Status::SUCCESS, 1));
    assert_eq!(guest.ask(info).0, Status::SUCCESS);
    assert_eq!(guest.ask(guest::report_guest_info(0x0001_0004)).0, Status::SUCCESS);
    guest.change_filter(0x202, 0);
    assert_eq!(guest.ask(SetGuestCapabilities::new()).0, Status::SUCCESS);
    assert_eq!(guest.ask(SetMouseStatus::new()).0, Status::SUCCESS);
}

#[test]
fn a_host_can_be_another_version() {
    let host = vmmdev::Host::new(Settings { version: (6, 1, 50), ..Settings::default() });
    let bus = vmmdev::carrier::InProcess::new(&host);
    let (_, answer) = Guest { host, bus }.ask(GetHostVersion::new());
    assert_eq!((answer.major.get(), answer.minor.get(), answer.build.get()), (6, 1, 50));
}
