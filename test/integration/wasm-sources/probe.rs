// What a Rust program finds in a container: the same as probe.c, by the standard library.
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs, process};

fn depth(n: u64) -> u64 {
    let frame = std::hint::black_box([n; 16]);
    if n == 0 { 0 } else { frame[3] + depth(n - 1) }
}

fn opened(path: &str) -> &'static str {
    if fs::File::open(path).is_ok() { "opened" } else { "denied" }
}

#[no_mangle]
pub extern "C" fn report() {
    println!("reported");
}

fn main() {
    let args: Vec<String> = env::args().skip(1).map(|arg| format!(" [{arg}]")).collect();
    println!("args{}", args.concat());
    println!("env {}", env::var("MINE").unwrap());
    fs::write("/data/written", "by a module").unwrap();
    let text = fs::read_to_string("/data/written").unwrap();
    println!("file {text}, {} in its folder", fs::read_dir("/data").unwrap().count());
    let mut large = vec![0u8; 200 << 20];
    for at in (0..large.len()).step_by(4096) {
        large[at] = 1;
    }
    let taken = large.iter().any(|byte| *byte == 1);
    println!("memory {}, depth {}", if taken { "taken" } else { "refused" }, depth(100));
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() > 1_700_000_000;
    let random = RandomState::new().build_hasher().finish() != 0;
    println!("clock {}, random {}", clock as u8, random as u8);
    let paths = ["/outside", "../../../etc/shadow", "/data/../../etc/shadow"];
    println!("outside {}", paths.map(opened).join(" "));
    process::exit(7);
}
