//! Programs that must not compile, with the messages that tell what to do instead.
//!
//! The messages beside the programs are those of the toolchain that the workspace is built with; after a
//! change of either, look at the difference and renew them with
//! `TRYBUILD=overwrite cargo test -p phalanx --test compile_fail`.

#[test]
fn what_must_not_compile_does_not() {
    let cases = trybuild::TestCases::new();
    // A program that passes makes the others be built, not only checked: captures of element kernels show
    // only then.
    cases.pass("tests/compile_fail/passes.rs");
    cases.compile_fail("tests/compile_fail/[!p]*.rs");
    cases.compile_fail("tests/compile_fail/p[!a]*.rs");
    // Built with the whole workspace, this crate has the features that the examples ask for.
    #[cfg(not(feature = "indicatif"))]
    cases.compile_fail("tests/compile_fail/without_features/*.rs");
}
