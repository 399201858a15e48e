//! The twin's example: a filter in user space, between two namespaces.

#[path = "../../twin/examples/filter.rs"]
mod filter;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use plimsoll_lab::LabNamespace;

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
const DEVICE: &str = "filtered";
const PATIENCE: Duration = Duration::from_mins(1);

#[test]
fn answers_come_in_and_nothing_else_does() {
    let [inside, outside] = [CLIENT, SERVER].map(|address| {
        let namespace = LabNamespace::create().unwrap();
        let device = namespace.enter(|| filter::tun(DEVICE)).unwrap().unwrap();
        for command in [format!("ip addr add {address}/24 dev {DEVICE}"), format!("ip link set {DEVICE} up")] {
            namespace.run(&command.split(' ').collect::<Vec<_>>()).unwrap();
        }
        (namespace, device)
    });
    // Until the process ends.
    let devices = (inside.1, outside.1);
    thread::spawn(move || filter::filter(&devices.0, &devices.1));
    let (inside, outside) = (inside.0, outside.0);

    let listener = outside.enter(|| TcpListener::bind((SERVER, 80))).unwrap().unwrap();
    let mut client = inside.enter(|| TcpStream::connect_timeout(&(SERVER, 80).into(), PATIENCE)).unwrap().unwrap();
    let (mut server, _) = listener.accept().unwrap();
    for stream in [&client, &server] {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    client.write_all(b"who is there?").unwrap();
    let mut asked = [0; 13];
    server.read_exact(&mut asked).unwrap();
    server.write_all(b"the server").unwrap();
    let mut answered = [0; 10];
    client.read_exact(&mut answered).unwrap();
    assert_eq!((&asked, &answered), (b"who is there?", b"the server"));

    // What is not asked for, of a flow of its own, is sent before the answer, and would be there before it.
    let socket = |namespace: &LabNamespace, address: Ipv4Addr| {
        let socket = namespace.enter(|| UdpSocket::bind((address, 0))).unwrap().unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    };
    let (client, server, other) = (socket(&inside, CLIENT), socket(&outside, SERVER), socket(&outside, SERVER));
    client.send_to(b"a question", server.local_addr().unwrap()).unwrap();
    let mut buffer = [0; 64];
    let (_, from) = server.recv_from(&mut buffer).unwrap();
    other.send_to(b"not asked for", from).unwrap();
    server.send_to(b"an answer", from).unwrap();
    let length = client.recv(&mut buffer).unwrap();
    assert_eq!(String::from_utf8_lossy(&buffer[..length]), "an answer");
}
