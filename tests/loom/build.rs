fn main() {
    // For this crate only, not for its dependencies.
    println!("cargo::rustc-cfg=loom");
    println!("cargo::rerun-if-changed=build.rs");
}
