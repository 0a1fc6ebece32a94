//! codegen OUT FILE INCLUDE...: prost's code for a file, in OUT. For the rows of
//! a table (cdc.proto()) the messages of cdc.v1 are the crate's, and the
//! descriptors are written beside the code.
use std::path::Path;

fn main() -> std::io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [out, file, includes @ ..] = &args[..] else {
        eprintln!("usage: codegen OUT FILE INCLUDE...");
        std::process::exit(2);
    };
    let mut config = prost_build::Config::new();
    config.out_dir(out).btree_map(["."]);
    if !file.starts_with("cdc/v1/") {
        let name = Path::new(file).with_extension("fds");
        config.extern_path(".cdc.v1", "::pgcdc::pb");
        config.file_descriptor_set_path(Path::new(out).join(name));
    }
    config.compile_protos(&[file], includes)
}
