use super::super::hwloc::{self, Subject};
use super::*;
use proptest::prelude::*;

const SHAPES: &[(&str, &str)] = &[
    ("smt", include_str!("../../../tests/shapes/smt.xml")),
    ("eight-nodes", include_str!("../../../tests/shapes/eight-nodes.xml")),
    ("hybrid", include_str!("../../../tests/shapes/hybrid.xml")),
    ("memory-less", include_str!("../../../tests/shapes/memory-less.xml")),
    ("cpu-less", include_str!("../../../tests/shapes/cpu-less.xml")),
    ("holes", include_str!("../../../tests/shapes/holes.xml")),
    ("one-pu", include_str!("../../../tests/shapes/one-pu.xml")),
];

#[test]
fn our_shapes_come_through_hwloc_unchanged() {
    for (name, text) in SHAPES {
        let ours = read(text, Source::Xml).unwrap();
        match hwloc::export(Subject::Xml(text)) {
            Ok((export, _)) => assert_eq!(ours, read(&export, Source::Xml).unwrap(), "{name}"),
            Err(error @ TopologyError::NoLibrary { .. }) => {
                println!("SKIPPED: {error}");
                return;
            }
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

#[test]
fn what_is_no_topology_is_refused() {
    let wrong = |text: &str| read(text, Source::Xml).unwrap_err();
    assert!(matches!(wrong(""), TopologyError::Xml { .. }));
    assert!(matches!(wrong("<svg/>"), TopologyError::Xml { .. }));
    assert!(matches!(wrong("<topology version='2.0'>"), TopologyError::Xml { .. }));
    assert!(matches!(wrong("<topology/>"), TopologyError::Version { .. }));
    assert!(matches!(wrong("<topology version='4.1'/>"), TopologyError::Version { .. }));
    assert!(matches!(wrong("<topology version='2.0'/>"), TopologyError::NoPu { .. }));
    for attributes in ["cpuset='0x1'", "os_index='-3' cpuset='0x1'", "os_index='4000000000' cpuset='0x1'"] {
        let text = format!("<topology version='2.0'><object type='PU' {attributes}/></topology>");
        assert!(matches!(wrong(&text), TopologyError::Xml { .. }), "{text}");
    }
    for cpuset in ["0xf...f", "zebra", "0x123456789"] {
        let text = format!("<topology version='2.0'><object type='Core' cpuset='{cpuset}'/></topology>");
        assert!(matches!(wrong(&text), TopologyError::Set { .. }), "{text}");
    }
}

#[test]
fn overlapping_objects_are_taken_apart_and_noted() {
    let object = |kind: &str, index: u32, cpuset: &str, rest: &str| {
        format!("<object type='{kind}' os_index='{index}' cpuset='{cpuset}' {rest}/>")
    };
    let pus: String = (0..4).map(|pu| object("PU", pu, &format!("{:#x}", 1 << pu), "")).collect();
    let text = [
        "<topology version='3.0'>".to_owned(),
        pus,
        object("Core", 0, "0x3", ""),
        object("Core", 1, "0x6", ""),
        object("Package", 0, "0x7", ""),
        object("Package", 1, "0xc", ""),
        object("L3Cache", 0, "0x7", "cache_size='9'"),
        object("L3Cache", 1, "0xc", "cache_size='9'"),
        "</topology>".to_owned(),
    ];
    let machine = read(&text.concat(), Source::Xml).unwrap();
    let cores: Vec<String> = machine.cores().iter().map(|core| core.cpuset.to_string()).collect();
    assert_eq!(cores, ["0-1", "2", "3"]);
    let packages: Vec<String> = machine.packages().iter().map(|package| package.cpuset.to_string()).collect();
    assert_eq!(packages, ["0-2", "3"]);
    assert_eq!(machine.caches().len(), 1);
    assert_eq!(machine.notes().len(), 3, "{:?}", machine.notes());
    assert!(machine.to_string().contains("Note: cores overlap at PUs 1"));
}

#[test]
fn entities_cannot_blow_the_text_up() {
    let mut text = String::from("<!DOCTYPE topology [<!ENTITY a0 'aaaaaaaaaa'>");
    for level in 1..12 {
        let before = format!("&a{};", level - 1).repeat(10);
        text += &format!("<!ENTITY a{level} '{before}'>");
    }
    text += "]><topology version='2.0'>&a11;</topology>";
    assert!(matches!(read(&text, Source::Xml), Err(TopologyError::Xml { .. })));
}

#[test]
fn deep_nesting_does_not_end_the_stack() {
    let text = format!(
        "<topology version='2.0'>{}{}</topology>",
        "<object type='Group'>".repeat(100_000),
        "</object>".repeat(100_000)
    );
    assert!(read(&text, Source::Xml).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Any text, and any made of what topologies are made of.
    #[test]
    fn no_text_makes_the_reader_panic(
        any in "\\PC{0,200}",
        alike in "(<(topology|object|!DOCTYPE|/object|info)( (type|os_index|cpuset|nodeset|version)=\"[0-9a-fx,A-Z]{0,9}\"){0,3}/?>){0,12}",
    ) {
        for text in [any, alike] {
            if let Ok(machine) = read(&text, Source::Xml) {
                prop_assert!(machine.validate().is_ok());
            }
        }
    }

    /// A topology with bytes damaged at random is read without contradiction, or refused, and never panics.
    #[test]
    fn damaged_topologies_never_panic(
        shape in 0..SHAPES.len(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), "[0-9a-f<>\"/ x,=]"), 1..6),
    ) {
        let mut bytes = SHAPES[shape].1.as_bytes().to_vec();
        for (at, with) in &damage {
            let at = at.index(bytes.len());
            bytes[at] = with.as_bytes()[0];
        }
        if let Ok(machine) = read(&String::from_utf8_lossy(&bytes), Source::Xml) {
            prop_assert!(machine.validate().is_ok());
            let _ = machine.to_string();
        }
    }
}
