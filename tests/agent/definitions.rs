//! Definitions on disk: what was kept is found again, what is damaged is left alone, and the bytes of the
//! files say all there is.

use std::fs;
use std::path::Path;

use proconsul::agent::{
    CheckRegistration, CheckType, Definitions, Health, Keep, Origin, ServiceRegistration, TtlState,
};
use proconsul::base::runtime::{Level, Runtime};
use proconsul::base::{Duration, WallTime};
use proconsul::driver::definitions::{Keeper, load};
use proconsul::runtime::TokioRuntime;
use proconsul::state::{CheckDefinition, NodeService, ServiceAddress, Weights};
use proconsul::wire::definitions::{
    KeptState, decode_check, decode_service, decode_state, encode_check, encode_service,
    encode_state, file_name,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

fn service(id: &str, port: u64) -> ServiceRegistration {
    let service = NodeService {
        id: id.to_owned(),
        service: "web".to_owned(),
        port,
        ..NodeService::default()
    };
    ServiceRegistration { service, ..ServiceRegistration::default() }
}

fn check(id: &str, ttl_s: u64) -> CheckRegistration {
    let ttl = Duration::from_secs(ttl_s);
    let definition = CheckDefinition { ttl, ..CheckDefinition::default() };
    let check = CheckType { check_id: id.to_owned(), definition, ..CheckType::default() };
    CheckRegistration { check, ..CheckRegistration::default() }
}

fn state(id: &str, valid_s: u64) -> TtlState {
    let (check_id, output) = (id.to_owned(), "all good".to_owned());
    TtlState { check_id, health: Health::Warning, output, valid_for: Duration::from_secs(valid_s) }
}

/// Carries out all of these as one group; what a restarted agent finds.
fn after(folder: &Path, keeps: &[Keep]) -> Definitions {
    let (folder, keeps) = (folder.to_owned(), keeps.to_owned());
    TokioRuntime::run(Level::Error, |runtime| async move {
        let mut keeper = Keeper::new(runtime.disk(&folder));
        let results = keeper.carry_out(&keeps, runtime.wall_clock()).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        load(&runtime, &folder).await
    })
    .expect("an executor")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|it| it.expect("a name").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

#[test]
fn what_was_kept_is_found_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let found = after(
        folder.path(),
        &[
            Keep::Service(service("web1", 80)),
            Keep::Check(check("job", 60)),
            Keep::TtlState(state("job", 60)),
            Keep::TtlState(state("late", 0)),
        ],
    );
    assert_eq!(found.services, [service("web1", 80)]);
    assert_eq!(found.checks, [check("job", 60)]);
    let [left] = &found.ttl_states[..] else { panic!("{found:?}") };
    // Whole seconds of the wall clock are kept, and some have passed.
    assert!(left.valid_for <= Duration::from_secs(60) && !left.valid_for.is_zero(), "{left:?}");
    assert_eq!(TtlState { valid_for: Duration::from_secs(60), ..left.clone() }, state("job", 60));
    assert_eq!(names(&folder.path().join("services")), [file_name("web1")]);
    assert_eq!(names(&folder.path().join("checks/state")), [file_name("job")], "late is removed");
}

#[test]
fn orders_of_one_item_take_effect_in_their_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let no_service = || Keep::NoService { id: "web1".to_owned() };
    let found = after(
        folder.path(),
        &[
            no_service(),
            Keep::Service(service("web1", 80)),
            no_service(),
            Keep::Service(service("web1", 81)),
            Keep::Service(service("web2", 82)),
            Keep::Check(check("job", 60)),
            Keep::TtlState(state("job", 60)),
            Keep::NoCheck { id: "job".to_owned() },
        ],
    );
    assert_eq!(found.checks, []);
    assert_eq!(found.ttl_states, []);
    let mut services = found.services;
    services.sort_by_key(|it| it.service.port);
    assert_eq!(services, [service("web1", 81), service("web2", 82)]);
    let found = after(folder.path(), &[no_service()]);
    assert_eq!(found.services, [service("web2", 82)]);
}

#[test]
fn damaged_files_stay_and_unfinished_ones_go() {
    let folder = tempfile::tempdir().expect("a folder");
    after(folder.path(), &[Keep::Service(service("web1", 80)), Keep::Check(check("job", 60))]);
    let services = folder.path().join("services");
    let whole = fs::read(services.join(file_name("web1"))).expect("it was written");
    let torn = services.join(file_name("torn"));
    fs::write(&torn, &whole[..whole.len() / 2]).expect("written");
    fs::write(services.join("x.tmp"), "half").expect("written");
    fs::write(folder.path().join("checks").join("odd"), "[1]").expect("written");
    fs::create_dir(services.join("folder")).expect("created");
    let found = after(folder.path(), &[]);
    assert_eq!(found.services, [service("web1", 80)]);
    assert_eq!(found.checks, [check("job", 60)]);
    assert_eq!(fs::read(&torn).expect("left in place"), &whole[..whole.len() / 2]);
    assert!(!services.join("x.tmp").exists());
    assert!(folder.path().join("checks/odd").exists());
}

#[test]
fn files_of_older_releases_get_their_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let services = folder.path().join("services");
    fs::create_dir_all(&services).expect("created");
    let md5_of_web = "2567a5ec9705eb7ac2c984033e06189d";
    let text = r#"{"Token":"t","Service":{"Kind":"","ID":"web","Service":"web","Tags":null,"Address":"",
        "TaggedAddresses":{"lan":{"Address":"10.0.0.1","Port":80}},"Meta":null,"Port":80,
        "Weights":null,"EnableTagOverride":false,"Proxy":{"MeshGateway":{},"Expose":{}},"Connect":{},
        "CreateIndex":0,"ModifyIndex":0},"Source":"remote"}"#;
    fs::write(services.join(md5_of_web), text).expect("written");
    let found = after(folder.path(), &[]);
    assert_eq!(found.services.len(), 1);
    assert_eq!((found.services[0].service.port, found.services[0].token.as_str()), (80, "t"));
    assert_eq!(names(&services), [file_name("web")]);
    assert_eq!(after(folder.path(), &[Keep::NoService { id: "web".to_owned() }]).services, []);
}

#[test]
fn checks_as_consul_writes_them_are_read() {
    let text = r#"{"Check":{"Node":"node1","CheckID":"service:web","Name":"Service 'web' check",
        "Status":"critical","Notes":"","Output":"","ServiceID":"web","ServiceName":"web",
        "ServiceTags":[],"Type":"http","Definition":{},"CreateIndex":0,"ModifyIndex":0},
        "ChkType":{"CheckID":"service:web","Name":"","Status":"","Notes":"","ScriptArgs":null,
        "HTTP":"http://x/","Header":{"A":["b"]},"Interval":10000000000,"Timeout":"2s","TTL":0,
        "OutputMaxSize":4096},"Token":"","Source":"remote"}"#;
    let check = decode_check(text.as_bytes()).expect("a check");
    assert_eq!((check.service_id.as_str(), check.check.check_id.as_str()), ("web", "service:web"));
    let definition = &check.check.definition;
    assert_eq!(definition.kind(), "http");
    assert_eq!(definition.interval, Duration::from_secs(10));
    assert_eq!(definition.timeout, Duration::from_secs(2));
    let maintenance = r#"{"Check":{"CheckID":"_node_maintenance","Notes":"r"},"ChkType":null}"#;
    assert_eq!(decode_check(maintenance.as_bytes()).expect("a check").check.notes, "r");
    for (text, why) in [
        (r#"{"Service":{"ID":7}}"#, "Service.ID: not a text"),
        (r#"{"Service":{"ID":"a","Port":-1}}"#, "Service.Port: not a number that is not negative"),
        (r#"{"Service":{"ID":"a"},"Source":"x"}"#, "Source: \"x\" is neither local nor remote"),
        (r#"{"Service":[]}"#, "Service: not an object"),
        ("[]", "not an object"),
        ("{}", "it names no service: Service.ID is empty"),
    ] {
        assert_eq!(decode_service(text.as_bytes()), Err(why.to_owned()), "{text}");
    }
    assert!(decode_state(br#"{"Status":"fine"}"#).is_err());
}

fn origins() -> impl Strategy<Value = Origin> {
    prop_oneof![Just(Origin::Api), Just(Origin::Config)]
}

prop_compose! {
    fn services()(
        names in ("\\PC{1,8}", "\\PC{0,8}", "\\PC{0,8}", "\\PC{0,8}", "\\PC{0,8}"),
        tags in vec("\\PC{0,6}", 0..4),
        meta in btree_map("\\PC{0,4}", "\\PC{0,4}", 0..3),
        at in btree_map("[a-z_]{1,8}", ("\\PC{0,6}", any::<u64>()), 0..3),
        numbers in any::<(u64, u64, u64)>(),
        flags in any::<(bool, bool)>(),
        raw in (vec(any::<u8>(), 0..9), vec(any::<u8>(), 0..9)),
        origin in origins(),
    ) -> ServiceRegistration {
        let (id, service, address, kind, token) = names;
        let tagged = at.into_iter().map(|(name, (address, port))| {
            (name, ServiceAddress { address, port })
        });
        let service = NodeService {
            kind, id, service, tags, address, meta,
            tagged_addresses: tagged.collect(),
            port: numbers.0,
            weights: Weights { passing: numbers.1, warning: numbers.2 },
            enable_tag_override: flags.0,
            locally_registered_as_sidecar: flags.1,
            proxy: raw.0.into(),
            connect: raw.1.into(),
            create_index: 0,
            modify_index: 0,
        };
        ServiceRegistration { service, token, origin, ..ServiceRegistration::default() }
    }
}

prop_compose! {
    fn checks()(
        ids in ("\\PC{1,8}", "\\PC{0,8}", "\\PC{0,8}", "\\PC{0,8}", "\\PC{0,8}", "\\PC{0,8}"),
        texts in vec("\\PC{0,6}", 9),
        header in btree_map("[A-Za-z-]{1,6}", vec("\\PC{0,4}", 0..3), 0..3),
        args in vec("\\PC{0,6}", 0..4),
        spans in vec(any::<u64>().prop_map(Duration::from_nanos), 4),
        numbers in any::<(u64, u64, u64)>(),
        flags in any::<(bool, bool)>(),
        origin in origins(),
    ) -> CheckRegistration {
        let (check_id, name, status, notes, service_id, token) = ids;
        let mut texts = texts.into_iter();
        let mut text = || texts.next().expect("nine");
        let definition = CheckDefinition {
            http: text(), method: text(), body: text(), tcp: text(), docker_container_id: text(),
            shell: text(), grpc: text(), alias_node: text(), alias_service: text(),
            tls_skip_verify: flags.0,
            grpc_use_tls: flags.1,
            header,
            script_args: args,
            interval: spans[0],
            timeout: spans[1],
            deregister_critical_service_after: spans[2],
            ttl: spans[3],
            output_max_size: numbers.0,
        };
        let check = CheckType {
            check_id, name, status, notes, definition,
            success_before_passing: numbers.1,
            failures_before_critical: numbers.2,
        };
        CheckRegistration { service_id, check, token, origin }
    }
}

proptest! {
    #[test]
    fn every_definition_is_read_as_it_was_written(service in services(), check in checks()) {
        prop_assert_eq!(decode_service(&encode_service(&service)), Ok(service));
        prop_assert_eq!(decode_check(&encode_check(&check)), Ok(check));
    }

    #[test]
    fn every_state_is_read_as_it_was_written(
        check_id in "\\PC{0,8}", output in "\\PC{0,8}", expires in any::<i64>(),
    ) {
        let health = Health::Critical;
        let state = KeptState { check_id, health, output, expires };
        prop_assert_eq!(decode_state(&encode_state(&state)), Ok(state));
    }

    #[test]
    fn damaged_files_are_errors_and_no_panics(
        service in services(), check in checks(), at in any::<prop::sample::Index>(), byte: u8,
    ) {
        for mut bytes in [encode_service(&service), encode_check(&check)] {
            let at = at.index(bytes.len());
            prop_assert!(decode_service(&bytes[..at]).is_err());
            prop_assert!(decode_check(&bytes[..at]).is_err());
            bytes[at] = byte;
            let _either = (decode_service(&bytes), decode_check(&bytes), decode_state(&bytes));
        }
    }
}

#[test]
fn a_state_that_has_expired_counts_no_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_owned();
    let found = TokioRuntime::run(Level::Error, |runtime| async move {
        let mut keeper = Keeper::new(runtime.disk(&path));
        // Written by a clock that showed 1970.
        keeper.carry_out(&[Keep::TtlState(state("old", 60))], WallTime(0)).await;
        load(&runtime, &path).await
    });
    assert_eq!(found.expect("an executor"), Definitions::default());
}
