//! Real servers with STARTTLS. Each is asked for TLS, serves its certificate, and logs no error
//! after the probe.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fixture::check::Check;
use crate::fixture::pki::{HOST, Leaf, Pki};
use crate::fixture::process::{Process, Slot, free_port, run, wait_until};

/// Address at which the servers of this test listen.
const HERE: &str = "127.0.0.1";

struct Bench {
    pki: Pki,
    leaf: Leaf,
    /// Additional ports, for servers of several protocols.
    more: [u16; 4],
    is_root: bool,
}

impl Bench {
    fn new() -> Self {
        let pki = Pki::new();
        let leaf = pki.leaf(&[HOST]);
        let mut more = [0; 4];
        for port in &mut more {
            *port = free_port();
        }
        Self {
            pki,
            leaf,
            more,
            is_root: run(Command::new("id").arg("-u")).trim() == "0",
        }
    }

    /// Copies the chain and the key to where a server may read them as any user.
    fn install(&self, folder: &Path) -> (String, String) {
        let (chain, key) = (folder.join("chain.pem"), folder.join("key.pem"));
        fs::copy(self.pki.full_chain(&self.leaf), &chain).unwrap();
        fs::copy(&self.leaf.key, &key).unwrap();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        (chain.display().to_string(), key.display().to_string())
    }

    /// Checks the server and asserts that it is ok.
    fn look(&self, protocol: &str, port: u16) {
        let resolve = format!("{HOST}:{port}:{HERE}");
        let check = Check::new(&self.pki).expect(&self.pki.full_chain(&self.leaf));
        let check = check.arg(format!("{protocol}://{HOST}:{port}"));
        // Some servers are slow on a busy machine.
        let check = check.args(&["--timeout", "120s", "--resolve", &resolve]);
        let row = check.row();
        row.assert_right(&[]);
        assert_eq!(row.text("/protocol"), protocol);
    }
}

/// Number of connections without a request: the readiness probe connected and closed.
const READINESS_CONNECTIONS: usize = 1;

/// Waits until the server's log contains `has`, and asserts that only the readiness probe caused
/// complaints.
fn assert_clean(server: &Process, file: &str, has: &str, complaints: &[&str]) {
    let log = wait_until(&format!("{has} in the log"), || {
        let log = server.read(file);
        log.contains(has).then_some(log)
    });
    let count: usize = complaints.iter().map(|c| log.matches(c).count()).sum();
    assert!(count <= READINESS_CONNECTIONS, "{complaints:?}:\n{log}");
}

/// Waits until another port of a server accepts connections.
pub(crate) fn wait_for_port(port: u16) {
    wait_until("another port", || TcpStream::connect((HERE, port)).ok());
}

#[test]
#[ignore = "needs postfix"]
fn postfix_logs_no_error_after_a_probe() {
    let bench = Bench::new();
    if !bench.is_root {
        #[expect(
            clippy::print_stderr,
            reason = "a skipped test should print that it was skipped"
        )]
        {
            eprintln!("not run: Postfix is started by root only");
        }
        return;
    }
    let server = Process::start(&[HERE], |folder, port| {
        let (chain, key) = bench.install(folder);
        let base = folder.display();
        fs::create_dir(folder.join("queue")).unwrap();
        fs::create_dir(folder.join("data")).unwrap();
        run(Command::new("chown")
            .arg("postfix")
            .arg(folder.join("data")));
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {base}/queue\ndata_directory = {base}/data\n\
             daemon_directory = /usr/lib/postfix/sbin\ncommand_directory = /usr/sbin\nmail_owner = postfix\n\
             setgid_group = postdrop\ninet_interfaces = {HERE}\ninet_protocols = ipv4\nmyhostname = {HOST}\n\
             mydestination =\nsmtpd_tls_security_level = may\nsmtpd_tls_chain_files = {key}, {chain}\n\
             maillog_file = /dev/stdout\nsmtpd_tls_loglevel = 1\nsmtpd_delay_reject = no\n\
             names = check_helo_access regexp:{{ {{/^\\[/ 550 a host name is required}} }}, \
             reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname\n"
        );
        fs::write(folder.join("main.cf"), main).unwrap();
        let master = format!(
            "{HERE}:{port} inet n - n - - smtpd\n\
             {HERE}:{} inet n - n - - smtpd\n  -o smtpd_tls_wrappermode=yes\n\
             {HERE}:{} inet n - n - - smtpd\n  -o smtpd_helo_restrictions=$names\n\
             tlsmgr unix - - n 1000? 1 tlsmgr\nanvil unix - - n - 1 anvil\npostlog unix-dgram n - n - 1 postlogd\n\
             rewrite unix - - n - - trivial-rewrite\ncleanup unix n - n - 0 cleanup\nproxymap unix - - n - - proxymap\n",
            bench.more[0], bench.more[1]
        );
        fs::write(folder.join("master.cf"), master).unwrap();
        let mut command = Command::new("postfix");
        command.arg("-c").arg(folder).arg("start-fg");
        command
    });
    bench.look("smtp", server.port);
    bench.look("smtps", bench.more[0]);
    // It refuses address literals, and accepts fully qualified names.
    bench.look("smtp", bench.more[1]);
    let complaints = [
        "lost connection",
        "timeout",
        "SSL_accept error",
        "improper command",
    ];
    assert_clean(
        &server,
        "log",
        "ehlo=1 starttls=1 quit=1 commands=3",
        &complaints,
    );
    assert_clean(&server, "log", "quit=1 commands=1", &complaints);
}

/// Packages that cannot be installed are unpacked here: `tests/packages.sh`.
const UNPACKED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/unpacked");
/// User and group of Exim, a number that no other user has.
const EXIM_ID: &str = "64242";

/// Exim exits if the user that its package creates does not exist. In a mount namespace, it does.
#[test]
#[ignore = "needs exim4-daemon-light, unpacked, and util-linux"]
fn exim_logs_no_error_after_a_probe() {
    let bench = Bench::new();
    if !bench.is_root {
        #[expect(
            clippy::print_stderr,
            reason = "a skipped test should print that it was skipped"
        )]
        {
            eprintln!("not run: Exim is started by root only");
        }
        return;
    }
    let smtps = bench.more[0];
    let server = Process::start(&[HERE], |folder, port| {
        let (chain, key) = bench.install(folder);
        let base = folder.display();
        let config = format!(
            "primary_hostname = {HOST}\nkeep_environment =\nspool_directory = {base}/spool\n\
             log_file_path = {base}/%slog\nlog_selector = +all\npid_file_path = {base}/pid\n\
             local_interfaces = {HERE}\ndaemon_smtp_ports = {port} : {smtps}\ntls_on_connect_ports = {smtps}\n\
             tls_advertise_hosts = *\ntls_certificate = {chain}\ntls_privatekey = {key}\n\
             host_lookup =\nrfc1413_hosts =\n"
        );
        let file = |name: &str| folder.join(name).display().to_string();
        fs::write(file("exim.conf"), config).unwrap();
        fs::create_dir(file("spool")).unwrap();
        let users = fs::read_to_string("/etc/passwd").unwrap();
        let users = format!("{users}Debian-exim:x:{EXIM_ID}:{EXIM_ID}::{base}:/bin/false\n");
        fs::write(file("passwd"), users).unwrap();
        let groups = fs::read_to_string("/etc/group").unwrap();
        fs::write(file("group"), format!("{groups}Debian-exim:x:{EXIM_ID}:\n")).unwrap();
        for owned in [file("spool"), key, base.to_string()] {
            run(Command::new("chown").arg(EXIM_ID).arg(owned));
        }
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec"]);
        command.arg(
            "mount --bind passwd /etc/passwd; mount --bind group /etc/group; exec \"$0\" \"$@\"",
        );
        command.arg(format!("{UNPACKED}/exim4-daemon-light/usr/sbin/exim4"));
        command.arg("-C").arg(file("exim.conf")).arg("-bdf");
        command
    });
    bench.look("smtp", server.port);
    bench.look("smtps", smtps);
    let complaints = ["TLS error", "SMTP protocol", "unexpected disconnection"];
    assert_clean(&server, "mainlog", "closed by QUIT", &complaints);
}

/// As a peer of innd, the client reaches nnrpd, which has STARTTLS, by MODE READER only.
#[test]
#[ignore = "needs inn2, unpacked"]
fn innd_starts_tls_after_mode_reader() {
    let bench = Bench::new();
    let server = Process::start(&[HERE], |folder, port| {
        let (chain, key) = bench.install(folder);
        let base = folder.display();
        // The user of INN may not be able to read the repository.
        let news = format!("{base}/news");
        run(Command::new("cp")
            .arg("-R")
            .arg(format!("{UNPACKED}/inn2/usr/lib/news"))
            .arg(&news));
        let (user, group) = match bench.is_root {
            true => ("news\n".to_owned(), "news\n".to_owned()),
            false => (
                run(Command::new("id").arg("-un")),
                run(Command::new("id").arg("-gn")),
            ),
        };
        for name in [
            "etc",
            "db",
            "logs",
            "run",
            "tmp",
            "spool/articles",
            "spool/overview",
        ] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
        let config = format!(
            "mta: /bin/true\ndomain: example.com\npathhost: {HOST}\npathnews: {news}\npathetc: {base}/etc\n\
             pathdb: {base}/db\npathspool: {base}/spool\npathlog: {base}/logs\npathrun: {base}/run\n\
             pathtmp: {base}/tmp\nrunasuser: {user}runasgroup: {group}ovmethod: tradindexed\nhismethod: hisv6\n\
             enableoverview: true\nbindaddress: {HERE}\nport: {port}\nnnrpdloadlimit: 0\n\
             tlscertfile: {chain}\ntlskeyfile: {key}\n"
        );
        write("etc/inn.conf", &config);
        write("etc/newsfeeds", "ME:!*::\n");
        write(
            "etc/incoming.conf",
            &format!("peer here {{\n hostname: \"{HERE}\"\n}}\n"),
        );
        write(
            "etc/storage.conf",
            "method tradspool {\n newsgroups: *\n class: 0\n}\n",
        );
        let readers = "auth x { hosts: * default: <x> }\naccess x { users: * newsgroups: * }\n";
        write("etc/readers.conf", readers);
        let groups = ["control", "control.cancel", "junk"];
        let groups = groups.map(|name| format!("{name} 0000000000 0000000001 n\n"));
        write("db/active", &groups.concat());
        write("db/history", "");
        if bench.is_root {
            run(Command::new("chown").args(["-R", "news:news"]).arg(folder));
        }
        // As its own user: the tools of INN refuse root.
        let inn_conf = folder.join("etc/inn.conf");
        let as_news = |program: &str| {
            let program = format!("{news}/bin/{program}");
            let mut command = match bench.is_root {
                true => Command::new("setpriv"),
                false => Command::new(&program),
            };
            if bench.is_root {
                command.args(["--reuid=news", "--regid=news", "--clear-groups"]);
                command.arg(program);
            }
            command
                .env("INNCONF", &inn_conf)
                .env("LD_LIBRARY_PATH", &news);
            command
        };
        run(as_news("makedbz")
            .args(["-s", "1000", "-i", "-o", "-f"])
            .arg(folder.join("db/history")));
        let mut command = as_news("innd");
        command.args(["-d", "-f"]);
        command
    });
    // It starts a process for each reader, which takes seconds on a busy machine.
    bench.look("nntp", server.port);
}

#[test]
#[ignore = "needs dovecot-imapd, dovecot-pop3d, dovecot-lmtpd and dovecot-managesieved"]
fn dovecot_logs_no_error_after_a_probe() {
    let bench = Bench::new();
    let [pop3, lmtp, sieve, imaps] = bench.more;
    let server = Process::start(&[HERE], |folder, port| {
        let (chain, key) = bench.install(folder);
        let base = folder.display();
        // Without root, all parts run as the current user.
        let user = run(Command::new("id").arg("-un"));
        let group = run(Command::new("id").arg("-gn"));
        let users = match bench.is_root {
            true => String::new(),
            false => format!(
                "default_internal_user = {user}default_internal_group = {group}default_login_user = {user}\n\
                 service imap-login {{\n chroot =\n}}\nservice pop3-login {{\n chroot =\n}}\n\
                 service managesieve-login {{\n chroot =\n}}\nservice anvil {{\n chroot =\n}}\n\
                 service lmtp {{\n user = {user}}}\n"
            ),
        };
        let config = format!(
            "base_dir = {base}/run\nstate_dir = {base}/run\nlog_path = {base}/dovecot.log\nlisten = {HERE}\n\
             protocols = imap pop3 lmtp sieve\nssl = yes\nssl_cert = <{chain}\nssl_key = <{key}\nssl_dh =\n\
             mail_location = maildir:{base}/mail\nverbose_ssl = yes\n\
             passdb {{\n driver = static\n args = password=x\n}}\n\
             userdb {{\n driver = static\n args = uid=1000 gid=1000 home={base}\n}}\n\
             service imap-login {{\n inet_listener imap {{\n port = {port}\n }}\n inet_listener imaps {{\n port = {imaps}\n ssl = yes\n }}\n}}\n\
             service pop3-login {{\n inet_listener pop3 {{\n port = {pop3}\n }}\n inet_listener pop3s {{\n port = 0\n }}\n}}\n\
             service lmtp {{\n inet_listener lmtp {{\n port = {lmtp}\n }}\n}}\n\
             service managesieve-login {{\n inet_listener sieve {{\n port = {sieve}\n }}\n}}\n{users}"
        );
        let file = folder.join("dovecot.conf");
        fs::write(&file, config).unwrap();
        let mut command = Command::new("/usr/sbin/dovecot");
        command.arg("-F").arg("-c").arg(file);
        command
    });
    for (protocol, port) in [
        ("imap", server.port),
        ("imaps", imaps),
        ("pop3", pop3),
        ("lmtp", lmtp),
        ("sieve", sieve),
    ] {
        bench.look(protocol, port);
    }
    let complaints = ["Disconnected: Connection", "SSL_accept() failed", "Error:"];
    for has in [
        "imap-login: ",
        "pop3-login: ",
        "managesieve-login: ",
        "lmtp(",
    ] {
        assert_clean(&server, "dovecot.log", has, &complaints);
    }
}

#[test]
#[ignore = "needs vsftpd"]
fn vsftpd_logs_no_error_after_a_probe() {
    let bench = Bench::new();
    let server = Process::start(&[HERE], |folder, port| {
        let (chain, key) = bench.install(folder);
        let base = folder.display();
        fs::create_dir(folder.join("empty")).unwrap();
        let as_itself = match bench.is_root {
            true => "",
            false => "run_as_launching_user=YES\n",
        };
        let config = format!(
            "listen=YES\nlisten_ipv6=NO\nlisten_address={HERE}\nlisten_port={port}\nbackground=NO\n\
             ssl_enable=YES\nallow_anon_ssl=YES\nrsa_cert_file={chain}\nrsa_private_key_file={key}\nssl_ciphers=HIGH\n\
             secure_chroot_dir={base}/empty\nseccomp_sandbox=NO\nlog_ftp_protocol=YES\nxferlog_enable=YES\n\
             debug_ssl=YES\nvsftpd_log_file={base}/vsftpd.log\n{as_itself}"
        );
        let file = folder.join("vsftpd.conf");
        fs::write(&file, config).unwrap();
        let mut command = Command::new("vsftpd");
        command.arg(file);
        command
    });
    bench.look("ftp", server.port);
    assert_clean(
        &server,
        "vsftpd.log",
        "221 Goodbye",
        &["500", "OOPS", "SSL_ERROR"],
    );
}

#[test]
#[ignore = "needs prosody"]
fn prosody_logs_no_error_after_a_probe() {
    let bench = Bench::new();
    let [s2s, c2s_tls, ..] = bench.more;
    let server = Process::start(&[HERE], |folder, port| {
        let (chain, key) = bench.install(folder);
        let base = folder.display();
        let config = format!(
            "run_as_root = true\ndaemonize = false\npidfile = '{base}/pid'\ndata_path = '{base}'\n\
             interfaces = {{ '{HERE}' }}\nc2s_ports = {{ {port} }}\ns2s_ports = {{ {s2s} }}\n\
             c2s_direct_tls_ports = {{ {c2s_tls} }}\nc2s_direct_tls_ssl = {{ key = '{key}', certificate = '{chain}' }}\n\
             http_ports = {{}}\nhttps_ports = {{}}\n\
             modules_enabled = {{ 'tls', 'saslauth', 'dialback', 's2s', 'c2s' }}\n\
             log = {{ {{ levels = {{ min = 'debug' }}, to = 'file', filename = '{base}/prosody.log' }} }}\n\
             ssl = {{ key = '{key}', certificate = '{chain}' }}\n\
             VirtualHost '{HOST}'\n"
        );
        let file = folder.join("prosody.cfg.lua");
        fs::write(&file, config).unwrap();
        let mut command = Command::new("prosody");
        command.arg("-F").arg("--config").arg(file);
        command
    });
    bench.look("xmpp", server.port);
    bench.look("xmpp-server", s2s);
    bench.look("xmpps", c2s_tls);
    let complaints = ["not-well-formed", "invalid XML", "No stream features"];
    assert_clean(&server, "prosody.log", "Client disconnected", &complaints);
}

/// Returns the command that runs ejabberd in a folder, with the ports of its client and server
/// listeners: STARTTLS, then TLS first.
pub(crate) fn ejabberd(
    folder: &Path,
    here: &str,
    [c2s, s2s, c2s_tls, s2s_tls]: [u16; 4],
    domain: &str,
    (chain, key): (&str, &str),
) -> Command {
    let base = folder.display();
    let listen = |port: u16, module: &str, more: &str| {
        format!(" - {{port: {port}, ip: \"{here}\", module: {module}{more}}}\n")
    };
    let config = format!(
        "loglevel: debug\nhosts:\n - {domain}\ncertfiles:\n - {chain}\n - {key}\n\
         s2s_use_starttls: optional\nlisten:\n{}{}{}{}",
        listen(s2s, "ejabberd_s2s_in", ""),
        listen(c2s_tls, "ejabberd_c2s", ", tls: true"),
        listen(s2s_tls, "ejabberd_s2s_in", ", tls: true"),
        listen(c2s, "ejabberd_c2s", ", starttls: true"),
    );
    fs::write(folder.join("ejabberd.yml"), config).unwrap();
    let mut command = Command::new("erl");
    command.args(["-noinput", "-noshell", "-mnesia", "dir"]);
    command.arg(format!("\"{base}/db\""));
    command.args(["-s", "ejabberd"]);
    // Debian's path of the libraries of Erlang.
    let libraries = glob::glob("/usr/lib/*/ejabberd-*/ebin").unwrap();
    let libraries = libraries.filter_map(Result::ok).next();
    let libraries = libraries.expect("ejabberd is not installed");
    command.env("ERL_LIBS", libraries.ancestors().nth(2).unwrap());
    command.env("EJABBERD_CONFIG_PATH", folder.join("ejabberd.yml"));
    command.env("EJABBERD_LOG_PATH", folder.join("ejabberd.log"));
    command.env("HOME", folder);
    command
}

#[test]
#[ignore = "needs ejabberd"]
fn ejabberd_logs_no_error_after_a_probe() {
    let _slot = Slot::take();
    let bench = Bench::new();
    let [s2s, c2s_tls, s2s_tls, _] = bench.more;
    let server = Process::start(&[HERE], |folder, port| {
        let (chain, key) = bench.install(folder);
        ejabberd(
            folder,
            HERE,
            [port, s2s, c2s_tls, s2s_tls],
            HOST,
            (&chain, &key),
        )
    });
    for (protocol, port) in [
        ("xmpp", server.port),
        ("xmpp-server", s2s),
        ("xmpps", c2s_tls),
        ("xmpps-server", s2s_tls),
    ] {
        wait_for_port(port);
        bench.look(protocol, port);
    }
    let complaints = ["not-well-formed", "[error]", "invalid-xml"];
    assert_clean(&server, "ejabberd.log", "Stream reset by peer", &complaints);
}

#[test]
#[ignore = "needs slapd"]
fn slapd_logs_no_error_after_a_probe() {
    let bench = Bench::new();
    let server = Process::start(&[HERE], |folder, port| {
        let (chain, key) = bench.install(folder);
        let base = folder.display();
        let config = format!(
            "pidfile {base}/pid\nTLSCertificateFile {chain}\nTLSCertificateKeyFile {key}\nTLSCACertificateFile {}\n",
            bench.pki.path("intermediate.pem").display()
        );
        let file = folder.join("slapd.conf");
        fs::write(&file, config).unwrap();
        let mut command = Command::new("/usr/sbin/slapd");
        let ldaps = bench.more[0];
        command
            .args(["-d", "256", "-h"])
            .arg(format!("ldap://{HERE}:{port}/ ldaps://{HERE}:{ldaps}/"))
            .arg("-f")
            .arg(file);
        command
    });
    bench.look("ldap", server.port);
    bench.look("ldaps", bench.more[0]);
    assert_clean(
        &server,
        "log",
        "UNBIND",
        &["connection lost", "TLS negotiation failure", "error="],
    );
}

/// The newest PostgreSQL of Debian, of which several may be installed.
fn postgres_tool(name: &str) -> PathBuf {
    let found = glob::glob(&format!("/usr/lib/postgresql/*/bin/{name}")).unwrap();
    found
        .filter_map(Result::ok)
        .max()
        .expect("postgresql is not installed")
}

#[test]
#[ignore = "needs postgresql"]
fn postgresql_logs_no_error_after_a_probe() {
    let bench = Bench::new();
    // PostgreSQL refuses to run as root.
    let as_postgres = |program: PathBuf| match bench.is_root {
        true => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
            command.arg(program);
            command
        }
        false => Command::new(program),
    };
    let server = Process::start(&[HERE], |folder, port| {
        let (chain, key) = bench.install(folder);
        let data = folder.join("data");
        if bench.is_root {
            run(Command::new("chown").args(["-R", "postgres"]).arg(folder));
        }
        run(as_postgres(postgres_tool("initdb"))
            .current_dir(folder)
            .args(["-A", "trust", "-U", "x", "--no-sync", "-D"])
            .arg(&data));
        let mut command = as_postgres(postgres_tool("postgres"));
        command
            .arg("-D")
            .arg(data)
            .arg("-k")
            .arg(folder)
            .arg("-p")
            .arg(port.to_string());
        for setting in [
            format!("listen_addresses={HERE}"),
            "ssl=on".into(),
            format!("ssl_cert_file={chain}"),
            format!("ssl_key_file={key}"),
            "log_connections=on".into(),
            "log_min_messages=debug1".into(),
        ] {
            command.arg("-c").arg(setting);
        }
        command
    });
    bench.look("postgres", server.port);
    let complaints = [
        "could not",
        "incomplete startup packet",
        "invalid length",
        "FATAL",
    ];
    assert_clean(&server, "log", "connection received", &complaints);
}

#[test]
#[ignore = "needs mariadb-server"]
fn mariadb_logs_no_error_after_a_probe() {
    let bench = Bench::new();
    let server = Process::start(&[HERE], |folder, port| {
        let (chain, key) = bench.install(folder);
        let base = folder.display();
        fs::create_dir(folder.join("data")).unwrap();
        let mut command = Command::new("/usr/sbin/mariadbd");
        command.args(["--no-defaults", "--skip-grant-tables", "--user=root"]);
        command.arg(format!("--datadir={base}/data"));
        command.arg(format!("--socket={base}/socket"));
        command.arg(format!("--pid-file={base}/pid"));
        command.arg(format!("--bind-address={HERE}"));
        command.arg(format!("--port={port}"));
        command.arg(format!("--ssl-cert={chain}"));
        command.arg(format!("--ssl-key={key}"));
        command
    });
    bench.look("mysql", server.port);
    let complaints = [
        "Bad handshake",
        "Got an error reading communication packets",
    ];
    assert_clean(&server, "log", "ready for connections", &complaints);
}

#[test]
#[ignore = "needs xrdp"]
fn xrdp() {
    let bench = Bench::new();
    for layer in ["negotiate", "tls", "rdp"] {
        let server = Process::start(&[HERE], |folder, port| {
            let (chain, key) = bench.install(folder);
            let config = format!(
                "[Globals]\nini_version=1\nfork=true\nport=tcp://{HERE}:{port}\nsecurity_layer={layer}\n\
                 crypt_level=high\ncertificate={chain}\nkey_file={key}\nssl_protocols=TLSv1.2, TLSv1.3\n\
                 [Logging]\nLogFile={}/xrdp.log\nLogLevel=DEBUG\nEnableConsole=true\n[Channels]\n\
                 [Xorg]\nname=x\nlib=libxup.so\nusername=ask\npassword=ask\nip={HERE}\nport=-1\ncode=20\n",
                folder.display()
            );
            let file = folder.join("xrdp.ini");
            fs::write(&file, config).unwrap();
            let mut command = Command::new("/usr/sbin/xrdp");
            command.arg("--nodaemon").arg("--config").arg(file);
            command
        });
        if layer != "rdp" {
            bench.look("rdp", server.port);
            continue;
        }
        let check = Check::of(&bench.pki, &bench.leaf, &[HERE], server.port);
        let row = check.args(&["--starttls", "rdp"]).row();
        assert_eq!(row.outcome(), "starttls_refused", "{row:?}");
        let hint = row.text("/findings/0/hint");
        assert!(hint.contains("security_layer"), "{hint}");
    }
}

#[test]
#[ignore = "needs nats-server"]
fn nats_server() {
    let bench = Bench::new();
    let start = |tls: bool| {
        Process::start(&[HERE], |folder, port| {
            let (chain, key) = bench.install(folder);
            let mut command = Command::new("nats-server");
            command.args(["-D", "-a", HERE, "-p", &port.to_string()]);
            if tls {
                command.args(["--tls", "--tlscert", &chain, "--tlskey", &key]);
            }
            command
        })
    };
    let server = start(true);
    bench.look("nats", server.port);
    let complaints = ["[ERR]"];
    assert_clean(&server, "log", "TLS handshake complete", &complaints);
    let server = start(false);
    let check = Check::of(&bench.pki, &bench.leaf, &[HERE], server.port);
    let row = check.args(&["--starttls", "nats"]).row();
    assert_eq!(row.outcome(), "starttls_refused", "{row:?}");
    let check = Check::of(&bench.pki, &bench.leaf, &[HERE], server.port);
    let row = check.row();
    let hint = row.text("/findings/0/hint");
    assert!(hint.contains("--starttls nats"), "{hint}");
}

#[test]
#[ignore = "needs inspircd"]
fn inspircd_logs_no_error_after_a_probe() {
    let bench = Bench::new();
    let server = Process::start(&[HERE], |folder, port| {
        let (chain, key) = bench.install(folder);
        let base = folder.display();
        let config = format!(
            "<config format=\"xml\">\n<server name=\"irc.example.com\" description=\"x\" network=\"x\">\n\
             <admin name=\"x\" email=\"x@example.com\" nick=\"x\">\n\
             <bind address=\"{HERE}\" port=\"{port}\" type=\"clients\">\n\
             <module name=\"cap\">\n<module name=\"ssl_gnutls\">\n<module name=\"starttls\">\n\
             <sslprofile name=\"Clients\" provider=\"gnutls\" certfile=\"{chain}\" keyfile=\"{key}\">\n\
             <starttls provider=\"Clients\">\n\
             <connect allow=\"*\" resolvehostnames=\"no\">\n<pid file=\"{base}/pid\">\n\
             <log method=\"file\" type=\"* -USERINPUT -USEROUTPUT\" level=\"debug\" flush=\"1\" target=\"{base}/irc.log\">\n"
        );
        let file = folder.join("inspircd.conf");
        fs::write(&file, config).unwrap();
        let mut command = Command::new("/usr/sbin/inspircd");
        command
            .args(["--nofork", "--runasroot", "--config"])
            .arg(file);
        command
    });
    bench.look("irc", server.port);
    assert_clean(&server, "irc.log", "'Client exited'", &["Error on FD"]);
}
