//! Faulty files, and what is said of each.

/// A faulty text and what must be printed about it.
pub(super) const FAULTY: &[(&str, &[&str])] = &[
    (
        "ae_title = \"ABCDEFGHIJKLMNOPQ\"",
        &["gantry.toml:1:12: `ae_title` is not an AE title", "at most 16 characters"],
    ),
    ("ae_title = \"A\\\\B\"", &["gantry.toml:1:12: `ae_title`", "no backslash"]),
    ("ae_title = \"  \"", &["gantry.toml:1:12: `ae_title`"]),
    ("data_dri = \"x\"", &["gantry.toml:1:1: unknown key `data_dri` at the top", "did you mean `data_dir`?"]),
    ("data_dir = \"\"", &["gantry.toml:1:12: `data_dir` is empty"]),
    ("data_dir = \"~/images\"", &["gantry.toml:1:12: `data_dir` starts with `~`", "write the whole path"]),
    ("max_associations = 3", &["gantry.toml:1:1: unknown key", "it belongs in [dimse]"]),
    ("dimse = 3", &["gantry.toml:1:1: `dimse` is a table, not a whole number"]),
    (
        "[sotrage]\nmin_free_bytes = 0",
        &["gantry.toml:1:2: unknown table `sotrage`", "did you mean `storage`?"],
    ),
    (
        "[dimse]\nlisen = \"x\"",
        &["gantry.toml:2:1: unknown key `lisen` in [dimse]", "did you mean `listen`?"],
    ),
    (
        "[dimse]\ncolour = 1",
        &["gantry.toml:2:1: unknown key `colour`", "the keys there: listen, accept, check_called_ae"],
    ),
    ("[dimse]\nlisten = \":104\"", &["gantry.toml:2:10: `listen`", "write \"0.0.0.0:104\""]),
    ("[dimse]\nlisten = \"localhost:104\"", &["gantry.toml:2:10: `listen`", "write \"127.0.0.1:104\""]),
    ("[dimse]\nlisten = \"127.0.0.1\"", &["gantry.toml:2:10: `listen`", "the port is missing"]),
    (
        "[dimse]\nlisten = \"127.0.0.1:65536\"",
        &["gantry.toml:2:10: `listen` is not an IP address and a port"],
    ),
    ("[dimse]\nlisten = 104", &["gantry.toml:2:10: `listen` needs an IP address and a port in quotes"]),
    ("[dimse]\naccept = \"knwon\"", &["gantry.toml:2:10: `accept`", "did you mean \"known\"?"]),
    (
        "[dimse]\ncheck_called_ae = \"yes\"",
        &["gantry.toml:2:19: `check_called_ae` needs true or false", "= true"],
    ),
    (
        "[dimse]\nmax_pdu_bytes = 0",
        &["gantry.toml:2:17: `max_pdu_bytes` is not a number from 4096 to 1048576"],
    ),
    ("[dimse]\nmax_pdu_bytes = 1_048_577", &["gantry.toml:2:17: `max_pdu_bytes` is more than 1048576"]),
    (
        "[dimse]\nmax_pdu_bytes = \"16_384\"",
        &["gantry.toml:2:17: `max_pdu_bytes`", "write max_pdu_bytes = 16384"],
    ),
    (
        "[dimse]\nmax_associations = 0",
        &["gantry.toml:2:20: `max_associations` is not a number from 1 to 10000"],
    ),
    ("[dimse]\nartim_timeout = 10", &["gantry.toml:2:17: `artim_timeout`", "write artim_timeout = \"10s\""]),
    (
        "[dimse]\nidle_timeout = \"60\"",
        &["gantry.toml:2:16: `idle_timeout` is not a duration", "write \"60s\""],
    ),
    ("[dimse]\nidle_timeout = \"1 m\"", &["gantry.toml:2:16: `idle_timeout`", "write \"1m\""]),
    ("[dimse]\nmessage_timeout = \"0s\"", &["gantry.toml:2:19: `message_timeout` is less than 10 ms"]),
    ("[dimse]\nconnect_timeout = \"25h\"", &["gantry.toml:2:19: `connect_timeout` is more than 86400 s"]),
    ("[dimse]\nconnect_timeout = 10s", &["gantry.toml:2:", "not TOML: "]),
    (
        "[dimse]\nlisten = \"127.0.0.1:1\"\nlisten = \"127.0.0.1:2\"",
        &["gantry.toml:3:1: not TOML: duplicate key"],
    ),
    ("[web]\nlisten = \"0.0.0.0:8080\"", &["gantry.toml:2:10: `listen`", "no access control", "open = true"]),
    ("[web]\nlisten = \"[::]:8080\"", &["gantry.toml:2:10: `listen`", "no access control"]),
    (
        "[web]\nlisten = \"127.0.0.1:11112\"",
        &["gantry.toml:2:10: [dimse] and [web] cannot both listen at port 11112"],
    ),
    (
        "[dimse]\nlisten = \"0.0.0.0:8080\"",
        &["gantry.toml:2:10: [dimse] and [web] cannot both listen at port 8080"],
    ),
    (
        "[dimse.tls]\nlisten = \"127.0.0.1:2762\"",
        &["gantry.toml:2:10: TLS needs `certificate` and `key`", "certificate = \"tls/gantry.pem\""],
    ),
    ("[dimse.tls]\nkey = \"a\"", &["gantry.toml:2:7: [dimse.tls] has `key` without `certificate`"]),
    ("[dimse.tls]\nlisten = \"2762\"", &["gantry.toml:2:10: `listen` is not an IP address and a port"]),
    ("[dimse.tls]\nca = \"gantry.toml\"", &["gantry.toml:2:6: `ca`: gantry.toml has no certificate in PEM"]),
    (
        "[dimse.tls]\nclient_auth = \"require\"",
        &["gantry.toml:2:15: `client_auth`", "did you mean \"required\"?"],
    ),
    (
        "[dimse.tls]\ncert = \"a\"",
        &["gantry.toml:2:1: unknown key `cert` in [dimse.tls]", "the keys there: listen, certificate"],
    ),
    ("[dimse]\ntls = true", &["gantry.toml:2:1: `tls` is a table, not true or false"]),
    (
        "[dimse]\nclient_auth = \"none\"",
        &["gantry.toml:2:1: unknown key `client_auth` in [dimse]", "it belongs in [dimse.tls]"],
    ),
    (
        "[dimse.tls]\nkey = \"-----BEGIN PRIVATE KEY-----\"\ncertificate = \"a\"",
        &["gantry.toml:2:7: `key` is a certificate or key itself", "name the file"],
    ),
    (
        "[peer.a]\nae_title = \"A\"\naddress = \"h:1\"\ntls = true",
        &["gantry.toml:4:7: nothing says whose certificate [peer.a] may have", "tls = { ca = \"ca.pem\" }"],
    ),
    (
        "[peer.a]\nae_title = \"A\"\naddress = \"h:1\"\ntls = \"true\"",
        &["gantry.toml:4:7: `tls` needs true, false or a table in braces", "write tls = true"],
    ),
    (
        "[peer.a]\nae_title = \"A\"\naddress = \"h:1\"\ntls = { sever_name = \"a\" }\ncertificate = [\"sha256:0000000000000000000000000000000000000000000000000000000000000000\"]",
        &["gantry.toml:4:9: unknown key `sever_name` in `tls` of a peer", "did you mean `server_name`?"],
    ),
    (
        "[peer.a]\nae_title = \"A\"\naddress = \"h:1\"\ntls = { ca = \"none.pem\", server_name = \"h:1\" }",
        &[
            "gantry.toml:4:40: `server_name` is no name that a certificate is for",
            "write \"h\", without the port",
        ],
    ),
    (
        "[peer.a]\nae_title = \"A\"\naddress = \"h:1\"\ntls = { ca = \"none.pem\", key = \"b\" }",
        &["gantry.toml:4:32: `tls` of [peer.a] has `key` without `certificate`"],
    ),
    (
        "[peer.a]\nae_title = \"A\"\naddress = \"h:1\"\ncertificate = [\"cn:A\"]",
        &["gantry.toml:4:15: [peer.a] could never call", "there is no port for TLS"],
    ),
    (
        "[peer.a]\nae_title = \"A\"\naddress = \"h:1\"\ncertificate = \"cn:A\"",
        &["gantry.toml:4:15: `certificate` needs a list of certificates", "write certificate = [\"cn:A\"]"],
    ),
    (
        "[peer.a]\nae_title = \"A\"\naddress = \"h:1\"\ncertificate = [\"ct1.example\"]",
        &[
            "gantry.toml:4:16: `certificate` has \"ct1.example\", which begins with none of sha256:",
            "write \"dns:ct1.example\"",
        ],
    ),
    (
        "[peer.a]\nae_title = \"A\"\naddress = \"h:1\"\ncertificate = [\"sha256:00\"]",
        &["gantry.toml:4:16: `certificate`", "needs 64 hexadecimal digits", "openssl x509"],
    ),
    ("[web]\nopen = 1", &["gantry.toml:2:8: `open` needs true or false, not a whole number"]),
    ("[web]\ncors_origins = \"https://a\"", &["gantry.toml:2:16:", "write cors_origins = [\"https://a\"]"]),
    (
        "[web]\ncors_origins = [\"*\", \"https://a/\"]",
        &["gantry.toml:2:22: `cors_origins`", "write \"https://a\""],
    ),
    ("[web]\ncors_origins = [7]", &["gantry.toml:2:17: `cors_origins` is a list of texts in quotes"]),
    (
        "[web]\npublic_url = \"https://a/\"",
        &["gantry.toml:2:14: `public_url` ends with a slash", "write \"https://a\""],
    ),
    (
        "[web]\npublic_url = \"pacs.example\"",
        &["gantry.toml:2:14: `public_url`", "write \"https://pacs.example\""],
    ),
    ("[storage]\nmin_free_bytes = -1", &["gantry.toml:2:18: `min_free_bytes` is not a number from 0"]),
    (
        "[storage]\nmin_free_bytes = 1e9",
        &["gantry.toml:2:18: `min_free_bytes` needs a whole number without quotes"],
    ),
    (
        "[[peer]]\nae_title = \"A\"",
        &["gantry.toml:1:3: `peer` is a table, not a list: each peer is a table [peer.NAME]"],
    ),
    ("[peer]\nae_title = \"A\"", &["gantry.toml:2:1: `ae_title` stands in [peer]", "[peer.NAME]"]),
    (
        "[peer.\"a b\"]\nae_title = \"A\"\naddress = \"h:1\"",
        &["gantry.toml:1:7: \"a b\" is no name for a peer"],
    ),
    ("[peer.a]\naddress = \"h:1\"", &["gantry.toml:1:7: [peer.a] has no `ae_title`"]),
    ("[peer.a]\nae_title = \"A\"", &["gantry.toml:1:7: [peer.a] has no `address`"]),
    ("[peer.a]\nae_title = \"A\"\naddress = \"h\"", &["gantry.toml:3:11: `address`", "the port is missing"]),
    (
        "[peer.a]\nae_title = \"A\"\naddress = \"A@h:104\"",
        &["gantry.toml:3:11: `address`", "write \"h:104\""],
    ),
    ("[peer.a]\nae_title = \"A\"\naddress = \"h:0\"", &["gantry.toml:3:11: `address`", "from 1 to 65535"]),
    (
        "[peer.a]\nae_title = \"A\"\naddress = \"h:1\"\nfrom = [\"10.1.2.3/8\"]",
        &["gantry.toml:4:9: `from`", "\"10.0.0.0/8\"", "\"10.1.2.3\""],
    ),
    (
        "[peer.b]\nae_title = \"A\"\naddress = \"h:1\"\n[peer.a]\nae_title = \" A \"\naddress = \"h:1\"",
        &["gantry.toml:5:12: [peer.a] has the AE title and the address of [peer.b] (line 2)"],
    ),
    (
        "[[destination]]\nkind = \"folder\"",
        &[
            "gantry.toml:1:3: `destination` is a table, not a list: each destination is a table [destination.NAME]",
        ],
    ),
    (
        "[destination]\nkind = \"folder\"",
        &["gantry.toml:2:1: `kind` stands in [destination]", "[destination.NAME]"],
    ),
    (
        "[destination.\"a b\"]\nkind = \"folder\"\npath = \"a\"",
        &["gantry.toml:1:14: \"a b\" is no name for a destination"],
    ),
    (
        "[destination.a]\npath = \"a\"",
        &["gantry.toml:1:14: [destination.a] has no `kind`", "dicom, s3 or folder"],
    ),
    (
        "[destination.a]\nkind = \"foldr\"\npath = \"a\"",
        &["gantry.toml:2:8: `kind` is no kind of destination: \"foldr\"", "did you mean \"folder\"?"],
    ),
    ("[destination.a]\nkind = \"ftp\"", &["gantry.toml:2:8: `kind`", "the kinds: dicom, s3, folder"]),
    (
        "[destination.a]\nkind = \"folder\"",
        &["gantry.toml:1:14: [destination.a] has no `path`", "path = \"copies\""],
    ),
    ("[destination.a]\nkind = \"s3\"", &["gantry.toml:1:14: [destination.a] has no `bucket`"]),
    ("[destination.a]\nkind = \"dicom\"", &["gantry.toml:1:14: [destination.a] has no `peer`"]),
    (
        "[destination.a]\nkind = \"folder\"\npath = \"a\"\nbucket = \"b\"",
        &[
            "gantry.toml:4:1: unknown key `bucket` in a destination of kind \"folder\"",
            "it belongs in a destination of kind \"s3\"; the keys there: kind, retry, path, parallel",
        ],
    ),
    (
        "[destination.a]\nkind = \"folder\"\npaht = \"a\"\npath = \"a\"",
        &["gantry.toml:3:1: unknown key `paht`", "did you mean `path`?"],
    ),
    (
        "[destination.a]\nkind = \"dicom\"\npeer = \"pacs\"",
        &["gantry.toml:3:8: there is no [peer.pacs]", "add [peer.pacs] with its `ae_title` and `address`"],
    ),
    (
        "[destination.a]\nkind = \"dicom\"\npeer = \"pasc\"\n[peer.pacs]\nae_title = \"P\"\naddress = \"h:1\"",
        &["gantry.toml:3:8: there is no [peer.pasc]", "did you mean \"pacs\"?"],
    ),
    (
        "[destination.a]\nkind = \"dicom\"\npeer = \"p\"\nassociations = 0\n[peer.p]\nae_title = \"P\"\naddress = \"h:1\"",
        &["gantry.toml:4:16: `associations` is not a number from 1 to 64"],
    ),
    (
        "[destination.a]\nkind = \"s3\"\nbucket = \"bbb\"\nendpoint = \"s3.example\"",
        &["gantry.toml:4:12: `endpoint` is not the URL of a service", "write \"https://s3.example\""],
    ),
    (
        "[destination.a]\nkind = \"s3\"\nbucket = \"bbb\"\nendpoint = \"http://h:1/b\"",
        &["gantry.toml:4:12: `endpoint` has a path in it", "a bucket goes into `bucket`"],
    ),
    (
        "[destination.a]\nkind = \"s3\"\nbucket = \"s3://imaging/\"",
        &["gantry.toml:3:10: `bucket` is a URL", "write \"imaging\""],
    ),
    (
        "[destination.a]\nkind = \"s3\"\nbucket = \"imaging/ct\"",
        &[
            "gantry.toml:3:10: `bucket` is not the name of a bucket",
            "bucket = \"imaging\" and prefix = \"ct\"",
        ],
    ),
    (
        "[destination.a]\nkind = \"s3\"\nbucket = \"bbb\"\nprefix = \"/a/\"",
        &["gantry.toml:4:10: `prefix` starts with a slash", "write \"a/\""],
    ),
    (
        "[destination.a]\nkind = \"s3\"\nbucket = \"bbb\"\nregion = \"\"",
        &["gantry.toml:4:10: `region` is not the name of a region"],
    ),
    (
        "[destination.a]\nkind = \"s3\"\nbucket = \"bbb\"\nsecret_access_key = \"hunter2\"",
        &[
            "gantry.toml:4:21: `secret_access_key` stands in this file",
            "write secret_access_key = { env = \"AWS_SECRET_ACCESS_KEY\" }, or { file = \"path\" }",
        ],
    ),
    (
        "[destination.a]\nkind = \"s3\"\nbucket = \"bbb\"\nendpoint = \"AKIA:s3cret@host:8333\"",
        &["gantry.toml:4:12: `endpoint` has a user in it", "`access_key_id` and `secret_access_key`"],
    ),
    (
        "[destination.a]\nkind = \"s3\"\nbucket = \"bbb\"\naccess_key_id = { env = \"wJalr/XUtnFEMI\" }",
        &["gantry.toml:4:17: `access_key_id` is not the name of an environment variable"],
    ),
    (
        "[destination.b]\nkind = \"s3\"\nendpoint = \"http://h:1\"\nbucket = \"bbb\"\n[destination.a]\nkind = \"s3\"\nendpoint = \"http://H:1\"\nbucket = \"bbb\"",
        &[
            "gantry.toml:8:10: [destination.a] has the bucket and prefix of [destination.b] (line 4)",
            "give each its own `prefix`",
        ],
    ),
    (
        "[destination.a]\nkind = \"s3\"\nbucket = \"bbb\"\naccess_key_id = { evn = \"A\" }",
        &["gantry.toml:4:17: `access_key_id` has no place called `evn`", "did you mean `env`?"],
    ),
    (
        "[destination.a]\nkind = \"s3\"\nbucket = \"bbb\"\naccess_key_id = { env = \"A\", file = \"b\" }",
        &["gantry.toml:4:17: `access_key_id` is in more than one place"],
    ),
    (
        "[destination.a]\nkind = \"s3\"\nbucket = \"bbb\"\naccess_key_id = { file = \"gantry.toml\" }",
        &["gantry.toml:1:14: [destination.a] has one key without the other", "add `secret_access_key`"],
    ),
    (
        "[destination.a]\nkind = \"folder\"\npath = \"a\"\nretry = \"10s\"",
        &["gantry.toml:4:9: `retry` needs a table in braces, not a text", "retry = { first = \"10s\""],
    ),
    (
        "[destination.a]\nkind = \"folder\"\npath = \"a\"\nretry = { frist = \"1s\" }",
        &["gantry.toml:4:11: unknown key `frist` in `retry`", "did you mean `first`?"],
    ),
    (
        "[destination.a]\nkind = \"folder\"\npath = \"a\"\n[destination.a.retry]\nfirst = 10",
        &["gantry.toml:5:9: `first` needs a duration in quotes", "write first = \"10s\""],
    ),
    (
        "[destination.a]\nkind = \"folder\"\npath = \"a\"\nretry = { factor = 0.5 }",
        &["gantry.toml:4:20: `factor` is not a number from 1 to 100"],
    ),
    (
        "[destination.a]\nkind = \"folder\"\npath = \"a\"\nretry = { first = \"20m\" }",
        &["gantry.toml:4:19: `max` is less than `first`"],
    ),
    (
        "[destination.b]\nkind = \"folder\"\npath = \"x\"\n[destination.a]\nkind = \"folder\"\npath = \"./y/../x/\"",
        &["gantry.toml:6:8: [destination.a] has the folder of [destination.b] (line 3)"],
    ),
    (
        "data_dir = \"d\"\n[destination.a]\nkind = \"folder\"\npath = \"d/instances/a\"",
        &["gantry.toml:4:8: `path` is ", "where the archive itself keeps its files"],
    ),
    ("[rules]\nfile = [\"a\"]", &["gantry.toml:2:1: unknown key `file` in [rules]", "did you mean `files`?"]),
    ("[rules]\nfiles = \"gantry.*\"", &["gantry.toml:2:9: `files`", "write files = [\"gantry.*\"]"]),
    (
        "[rules]\nfiles = [\"*.rules\"]",
        &["gantry.toml:2:9: no file is \"*.rules\" in .", "no file would mean no rules"],
    ),
    (
        "[rules]\nfiles = [\"rules/*.toml\"]",
        &["gantry.toml:2:9: no file is \"rules/*.toml\"", "rules/ cannot be read"],
    ),
    ("[rules]\nfiles = [\"*/a.toml\"]", &["gantry.toml:2:10: `files` has a pattern for folders"]),
    ("[rules]\nfiles = [\"rules/\"]", &["gantry.toml:2:10: `files` names a folder", "\"rules/*.toml\""]),
    ("[rule]\nfiles = []", &["gantry.toml:1:2: unknown table `rule`", "did you mean `rules`?"]),
];
