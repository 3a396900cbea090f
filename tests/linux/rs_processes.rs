//! Child processes as Rust's library starts them: spawn, pipes, environment, directory, exit codes, kill.

use std::env;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio, exit};
use std::time::Duration;

fn child(what: &str) -> ! {
    match what {
        "exit" => exit(42),
        "echo" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).unwrap();
            print!("{}", text.to_uppercase());
            eprint!("complaint");
            exit(0)
        }
        "environment" => {
            println!("{:?} {:?} {:?}", env::var("ADDED"), env::var("CHECK"), env::vars().count());
            exit(0)
        }
        "directory" => {
            println!("{:?}", env::current_dir().unwrap().file_name().unwrap());
            exit(0)
        }
        "sleep" => {
            std::thread::sleep(Duration::from_secs(100));
            exit(0)
        }
        "abort" => std::process::abort(),
        other => {
            println!("unknown {other}");
            exit(1)
        }
    }
}

fn myself(what: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg(what);
    command
}

fn main() -> std::io::Result<()> {
    if let Some(what) = env::args().nth(1) {
        child(&what);
    }
    println!("exit {:?}", myself("exit").status()?.code());
    let mut echo = myself("echo").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    echo.stdin.take().unwrap().write_all("text for the child ".repeat(5000).as_bytes())?;
    let output = echo.wait_with_output()?;
    println!("echo {} {} {:?}", output.status.success(), output.stdout.len(), String::from_utf8_lossy(&output.stderr));
    println!("upper {}", output.stdout.starts_with(b"TEXT FOR THE CHILD TEXT"));

    let output = myself("environment").env("ADDED", "yes").env_remove("CHECK").output()?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    let output = myself("environment").env_clear().output()?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    std::fs::create_dir("inner")?;
    let output = myself("directory").current_dir("inner").output()?;
    print!("{}", String::from_utf8_lossy(&output.stdout));

    let mut sleeper = myself("sleep").spawn()?;
    println!("running {:?}", sleeper.try_wait()?);
    sleeper.kill()?;
    println!("killed {:?}", sleeper.wait()?.signal());
    println!("aborted {:?}", myself("abort").status()?.signal());
    println!("missing {:?}", Command::new("./not-there").status().unwrap_err().kind());
    println!("bad directory {:?}", myself("exit").current_dir("nowhere").status().unwrap_err().kind());
    println!("null output {}", myself("echo").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?.success());
    println!("own group {:?}", myself("exit").process_group(0).status()?.code());

    let mut many: Vec<_> = (0..10).map(|_| myself("exit").spawn()).collect::<Result<_, _>>()?;
    println!("all {}", many.iter_mut().all(|child| child.wait().is_ok_and(|status| status.code() == Some(42))));
    let error = Command::new("./not-there").exec();
    println!("exec came back: {:?}", error.kind());
    let error = myself("directory").arg0("renamed").exec();
    println!("exec came back: {:?}", error.kind());
    Ok(())
}
