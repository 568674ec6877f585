//! Known values, which another implementation computed: hmac of Python and its package cryptography.
//! In a handshake with a server that has the same primitives, an error of both sides is not seen.

use rustls::CipherSuite;

use super::super::protection::{Cipher, Protection};
use super::super::secrets::{Hash, Master, Side};
use super::*;

const PREMASTER: [u8; 48] = [1; 48];
const MESSAGES: &[u8] = b"messages";

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    let pair = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.map(pair).collect()
}

fn hello(extended_master_secret: bool) -> ServerHello {
    let flight = Flight {
        extended_master_secret,
        ..Flight::default()
    };
    let server = Server::start(static_rsa().next().unwrap(), flight);
    server.reader.hello.unwrap()
}

fn master(hash: Hash, hello: &ServerHello) -> Master<'_> {
    Master::derive(hash, &PREMASTER, &CLIENT_RANDOM, hello, MESSAGES).unwrap()
}

/// Finished messages of both sides, and the start of the key block.
#[test]
fn secrets_with_and_without_extended_master_secret_have_known_values() {
    for (extended_master_secret, hash, client, server, keys) in [
        (
            false,
            Hash::Sha256,
            "14eb5b624a727a7087bdb52b",
            "a6de8fcacd1cd264cb6ce448",
            "a48e3711c90dfcafb569797f",
        ),
        (
            false,
            Hash::Sha384,
            "e58c834281181709d9849104",
            "a8600504a6996e800134b86a",
            "92bee3cd2a8bb52ea94e5011",
        ),
        (
            true,
            Hash::Sha256,
            "44c2f0b91e35a2d06f7ce065",
            "b8292453015091b9c2aa386c",
            "cf629a96d48cafbc2d9d6020",
        ),
        (
            true,
            Hash::Sha384,
            "71c5f1f2fd6b3522690b8727",
            "3311f8ab315b81a0cd8853f1",
            "34ea64504959bb2c6550ac5a",
        ),
    ] {
        let hello = hello(extended_master_secret);
        let master = master(hash, &hello);
        let finished = master.finished();
        for (side, known) in [(Side::Client, client), (Side::Server, server)] {
            let data = finished.of(side, MESSAGES);
            let is_extended = extended_master_secret;
            assert_eq!(data, Some(bytes(known)), "{is_extended} {hash:?} {side:?}");
        }
        assert_eq!(master.key_block(12), Some(bytes(keys)));
    }
}

/// First record of the client, and the first two of the server.
#[test]
fn records_of_every_cipher_have_known_values() {
    use CipherSuite as S;
    for (suite, client, first, second) in [
        (
            S::TLS_RSA_WITH_AES_128_CBC_SHA,
            "05050505050505050505050505050505ec30e5effa639dfc80cdf482733da9900f7169dca2f8c79c442e0c2adbd9adc3",
            "05050505050505050505050505050505a2dd535b778fcdaf0e4f9943b0d0a55bd2205a031731c7373dcf1951ab58d908",
            "0505050505050505050505050505050510e15622c4e5de027863837873da86e78de33d80a6c2ad02147860e1999646f1",
        ),
        (
            S::TLS_RSA_WITH_AES_256_CBC_SHA,
            "0505050505050505050505050505050551d579de5063c6ddaf7153b7743705019c043a6329161ce62ecd9cf3b0dbe5e1",
            "05050505050505050505050505050505e581be174e958a7216a4c29155bd639f27689a11e3df11af94a514f773810330",
            "05050505050505050505050505050505686b72850d8f40e82ff51157cdb12c2b5e721c09e85046cedfd66b3068b2d668",
        ),
        (
            S::TLS_RSA_WITH_AES_128_CBC_SHA256,
            "05050505050505050505050505050505edf7439f6ae857d7b4c884f52c217963ae29300b249a53e57e618451c978f205e5dd67d2907daf08dccdc5893b2751f5",
            "05050505050505050505050505050505ad7da79e06f6cff9bce0f4bcf5f38f5f5e95fa6b6ee890731fe861fced39c50d456b260714e28710d8e60395d851874b",
            "0505050505050505050505050505050524ad19baffd2d057d8c35a564f48ad6e586bf25f88a73572e77481a811135b35d699d7690688202ee8e9122714dcba59",
        ),
        (
            S::TLS_RSA_WITH_AES_256_CBC_SHA256,
            "05050505050505050505050505050505fd3e2cb1a260d21ee1be877d0ba8ceaefd7020de4b077f415d3a2dc9364c48e7ec236faad7dd1050b2f89a3361e155f1",
            "05050505050505050505050505050505d8f42f2df7bafd23221dd6c9ca85b3d3e0337fcfa8099520a6874e464015bf18c0178e632cb0c573ba67699e438abe13",
            "05050505050505050505050505050505b86f8d72a20ec5922f68d4f4dced143df51e18fbfeed8fe4d7ccf2489839580dbdbc40a170cbaf0e104c80dacb6fe78b",
        ),
        (
            S::TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384,
            "050505050505050505050505050505059aa4d0a77a449b74635f79ff78da185d0c4b1b7d29e3a7899c9ac02568eb017155791966462947b60605da58783ae1f5ad2da9cc8ea2f72079c17258db576b68",
            "0505050505050505050505050505050507ec3e3a2b22790836c1f96b2370a48786143752734ea2faad2beace412e718baae749935cbc942f11d53db9689b6f3e05861611fc60ac8ec0d96b30477f61fd",
            "0505050505050505050505050505050523dd7bbfc06eeb415d4e9d29bc5082cf86451b137bc524d200e7b427a28dc2dc2462640f22db984d95b4dbbe9746f7e435e48192315844e55f5415950d6d0e06",
        ),
        (
            S::TLS_RSA_WITH_AES_128_GCM_SHA256,
            "0606060606060600336ea1d13b14e6ea1d77ee022dbc611cba0a2888b1833a",
            "06060606060606007a16da6a9c5676235ee87fcafe2136d25ebde48c28d03c",
            "0606060606060601fbb720d3937b3b46af045118d303242176c11a2def8d77",
        ),
        (
            S::TLS_RSA_WITH_AES_256_GCM_SHA384,
            "06060606060606001a07bd0b72205e59328eb0a1f80fcb31791272adb64591",
            "06060606060606008992d8a47307735d0751459b02d7567711db738619b79d",
            "0606060606060601802d458ca7b77938439faebf8aa67f58c2aacf629b709b",
        ),
        (
            S::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
            "86cbeade22c2a69c9bffd2d3785d4229961bdbe4d3c63d",
            "e95d2765c6d4acdb624d4cde9bfaf4744913d9794466cd",
            "625172e4a9387149036afcfd4db1bbb2076de4c7ea0ea2",
        ),
    ] {
        let (cipher, hash) = Cipher::of(suite).unwrap();
        let hello = hello(false);
        let master = master(hash, &hello);
        for (side, records) in [
            (Side::Client, &[client][..]),
            (Side::Server, &[first, second]),
        ] {
            let mut protection = Protection::derive(cipher, &master, side).unwrap();
            for known in records {
                let content = protection.unprotect(22, &bytes(known));
                assert_eq!(
                    content.as_deref(),
                    Some(&b"content"[..]),
                    "{suite:?} {side:?}"
                );
            }
        }
    }
}
