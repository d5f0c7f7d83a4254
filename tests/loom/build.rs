fn main() {
    // For this crate alone, not for what it depends on.
    println!("cargo::rustc-cfg=loom");
    println!("cargo::rerun-if-changed=build.rs");
}
