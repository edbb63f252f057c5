//! `server-stop`: ends one node in order and leaves the others alone.

use crate::harness::Node;
use crate::tool::run;

#[test]
fn the_node_of_a_data_directory_is_stopped_and_no_other() {
    let (mut stopped, other) = (Node::start(&[]), Node::start(&[]));
    let data = stopped.data().to_str().unwrap().to_owned();
    // The node is a child of this test, which has to wait for it.
    let waiting = std::thread::spawn(move || {
        let status = stopped.wait();
        (stopped, status)
    });
    assert!(
        run(&["server-stop", "--data-dir", &data])
            .quiet()
            .contains("Stopping server with process id")
    );
    let (stopped, status) = waiting.join().unwrap();
    assert!(status.success(), "{status}: {}", stopped.log());
    assert!(stopped.data().join(".kafka_cleanshutdown").exists());
    other.connect();
    assert_eq!(run(&["server-stop", "--data-dir", &data]).failed(), "No server to stop\n");
}
