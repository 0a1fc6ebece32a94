//! SIGINT and SIGTERM: the first one ends what is going on in good order, the second at
//! once.

use std::io;

use tokio::signal::unix::{signal, SignalKind};
use tokio::sync::watch;

/// Becomes true with the first signal. They are waited for by a thread, as whoever
/// prints may be stuck.
pub fn stop() -> io::Result<watch::Receiver<bool>> {
    let (stop, stopped) = watch::channel(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let handlers = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::spawn(move || {
        let (mut interrupt, mut terminate) = handlers;
        runtime.block_on(async {
            for last in [false, true] {
                tokio::select! {
                    _ = interrupt.recv() => (),
                    _ = terminate.recv() => (),
                }
                if last {
                    std::process::exit(1);
                }
                stop.send_replace(true);
            }
        });
    });
    Ok(stopped)
}
