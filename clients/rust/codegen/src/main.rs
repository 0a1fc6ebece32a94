//! codegen PROTO_DIRECTORY OUT_DIRECTORY FILE...: prost's code for the files.
fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(include), Some(out)) = (args.next(), args.next()) else {
        eprintln!("usage: codegen PROTO_DIRECTORY OUT_DIRECTORY FILE...");
        std::process::exit(2);
    };
    let files: Vec<String> = args.map(|file| format!("{include}/{file}")).collect();
    std::fs::create_dir_all(&out)?;
    prost_build::Config::new()
        .out_dir(out)
        .btree_map(["."])
        .compile_protos(&files, &[include])
}
