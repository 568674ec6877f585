//! Public suffixes with more than one label, as far as they are known here. Chromium refuses a
//! wildcard directly below one. It has the whole Public Suffix List (publicsuffix.org), of which it
//! takes the part of the registries (ICANN), so the suffixes of hosting companies do not matter.

/// The second-level suffixes of frequent country codes: all of them.
#[rustfmt::skip]
const ALL: &[(&str, &str)] = &[
    ("ac", "com edu gov mil net org"),
    ("ae", "ac co gov mil net org sch"),
    ("ai", "com net off org"),
    ("ar", "bet com coop edu gob gov int mil musica mutual net org senasa tur"),
    ("at", "ac co gv or"),
    ("au", "act asn com conf edu gov id info net nsw nt org oz qld sa tas vic wa"),
    ("be", "ac"),
    ("bg", "0 1 2 3 4 5 6 7 8 9 a b c d e f g h i j k l m n o p q r s t u v w x y z"),
    ("ca", "ab bc gc mb nb nf nl ns nt nu on pe qc sk yk"),
    ("cc", ""),
    ("ch", ""),
    ("cl", "co gob gov mil"),
    ("cn", "ac ah bj com cq edu fj gd gov gs gx gz ha hb he hi hk hl hn jl js jx ln mil mo net nm nx org qh sc sd sh sn sx tj tw xj xn--55qx5d xn--io0a7i xn--od0alg xz yn zj"),
    ("co", "arts com edu firm gov info int mil net nom org rec web"),
    ("cz", ""),
    ("de", ""),
    ("dk", ""),
    ("ee", "aip com edu fie gov lib med org pri riik"),
    ("es", "com edu gob nom org"),
    ("eu", ""),
    ("fi", "aland"),
    ("fm", "com edu net org"),
    ("fr", "aeroport asso avocat avoues cci chambagri chirurgiens-dentistes com experts-comptables geometre-expert gouv greta huissier-justice medecin nom notaires pharmacien port prd tm veterinaire"),
    ("gg", "co net org"),
    ("gl", "co com edu net org"),
    ("gr", "com edu gov net org"),
    ("hk", "com edu gov idv net org xn--55qx5d xn--ciqpn xn--gmq050i xn--gmqw5a xn--io0a7i xn--lcvr32d xn--mk0axi xn--mxtq1m xn--od0alg xn--od0aq3b xn--tn0ag xn--uc0atv xn--uc0ay4a xn--wcvs22d xn--zf0avx"),
    ("hr", "com from iz name"),
    ("hu", "2000 agrar bolt casino city co erotica erotika film forum games hotel info ingatlan jogasz konyvelo lakas media news org priv reklam sex shop sport suli szex tm tozsde utazas video"),
    ("id", "ac biz co desa go mil my net or ponpes sch web"),
    ("ie", "gov"),
    ("il", "ac co gov idf k12 muni net org"),
    ("im", "ac co com net org tt tv"),
    ("in", "5g 6g ac ai am bihar biz business ca cn co com coop cs delhi dr edu er firm gen gov gujarat ind info int internet io me mil net nic org pg post pro res travel tv uk up us"),
    ("io", "com"),
    ("is", "com edu gov int net org"),
    ("ke", "ac co go info me mobi ne or sc"),
    ("kr", "ac busan chungbuk chungnam co daegu daejeon es gangwon go gwangju gyeongbuk gyeonggi gyeongnam hs incheon jeju jeonbuk jeonnam kg mil ms ne or pe re sc seoul ulsan"),
    ("la", "com edu gov info int net org per"),
    ("li", ""),
    ("lt", "gov"),
    ("lu", ""),
    ("lv", "asn com conf edu gov id mil net org"),
    ("ly", "com edu gov id med net org plc sch"),
    ("ma", "ac co gov net org press"),
    ("me", "ac co edu gov its net org priv"),
    ("mx", "com edu gob net org"),
    ("my", "biz com edu gov mil name net org"),
    ("nl", ""),
    ("nu", ""),
    ("nz", "ac co cri geek gen govt health iwi kiwi maori mil net org parliament school xn--mori-qsa"),
    ("pe", "com edu gob mil net nom org"),
    ("ph", "com edu gov i mil net ngo org"),
    ("pk", "biz com edu fam gob gok gon gop gos gov info net org web"),
    ("pt", "com edu gov int net nome org publ"),
    ("ro", "arts com firm info nom nt org rec store tm www"),
    ("rs", "ac co edu gov in org"),
    ("ru", ""),
    ("sa", "com edu gov med net org pub sch"),
    ("se", "a ac b bd brand c d e f fh fhsk fhv g h i k komforb kommunalforbund komvux l lanbib m n naturbruksgymn o org p parti pp press r s t tm u w x y z"),
    ("sg", "com edu gov net org per"),
    ("sh", "com gov mil net org"),
    ("si", ""),
    ("sk", ""),
    ("so", "com edu gov me net org"),
    ("st", "co com consulado edu embaixada mil net org principe saotome store"),
    ("su", ""),
    ("th", "ac co go in mi net or"),
    ("tn", "com ens fin gov ind info intl mincom nat net org perso tourism"),
    ("to", "com edu gov mil net org"),
    ("tr", "av bbs bel biz com dr edu gen gov info k12 kep mil name nc net org pol tel tsk tv web"),
    ("tv", ""),
    ("tw", "club com ebiz edu game gov idv mil net org xn--czrw28b xn--uc0atv xn--zf0ao64a"),
    ("uk", "ac co gov ltd me net nhs org plc police"),
    ("vc", "com edu gov mil net org"),
    ("vn", "ac biz com edu gov health info int name net org pro"),
    ("ws", "com edu gov net org"),
];

/// The same of country codes with very many: those that are most frequent.
#[rustfmt::skip]
const SOME: &[(&str, &str)] = &[
    ("jp", "ac ad aichi akita aomori chiba co ed ehime fukui fukuoka fukushima gifu go gr gunma hiroshima hokkaido hyogo ibaraki ishikawa iwate kagawa kagoshima kanagawa kochi kumamoto kyoto lg mie miyagi miyazaki nagano nagasaki nara ne niigata oita okayama okinawa or osaka saga saitama shiga shimane shizuoka tochigi tokushima tokyo tottori toyama wakayama xn--0trq7p7nn xn--1ctwo xn--1lqs03n xn--1lqs71d xn--2m4a15e xn--32vp30h xn--4it168d xn--4it797k xn--4pvxs xn--5js045d xn--5rtp49c xn--5rtq34k xn--6btw5a xn--6orx2r xn--7t0a264c xn--8ltr62k xn--8pvr4u xn--c3s14m xn--d5qv7z876c xn--djrs72d6uy xn--djty4k xn--efvn9s xn--ehqz56n xn--elqq16h xn--f6qx53a xn--k7yn95e xn--kbrq7o xn--klt787d xn--kltp7d xn--kltx9a xn--klty5x xn--mkru45i xn--nit225k xn--ntso0iqx3a xn--ntsq17g xn--pssu33l xn--qqqt11m xn--rht27z xn--rht3d xn--rht61e xn--rny31h xn--tor131o xn--uist22h xn--uisz3g xn--uuwu58a xn--vgu402c xn--zbx025d yamagata yamaguchi yamanashi"),
    ("br", "adv art blog com eco edu eng gov ind inf jus leg med mil mp net org psi srv tur tv wiki"),
    ("it", "edu gov"),
    ("no", "bergen dep fhs folkebibl fylkesbibl herad idrett kommune mil museum oslo priv stat vgs"),
    ("pl", "agro aid atm auto biz com edu gmina gov gsm info mail media miasta mil net nieruchomosci nom org pc powiat priv realestate rel sex shop sklep sos szkola targi tm tourism travel turystyka warszawa waw wroclaw"),
    ("ua", "com dnipropetrovsk dp edu gov in kharkiv kharkov kiev kyiv lviv net odessa org"),
    ("us", "ak al ar as az ca co ct dc de dni fed fl ga gu hi ia id il in isa kids ks ky la ma md me mi mn mo ms mt nc nd ne nh nj nm nsn nv ny oh ok or pa pr ri sc sd tn tx ut va vi vt wa wi wv wy"),
];

/// The country codes below which every name is a suffix, with few exceptions.
const EVERY: &[&str] = &["bd", "ck", "er", "fk", "jm", "kh", "mm", "np", "pg"];

/// Domains below which some names are suffixes, or all. `jp` is separate.
const DEEPER: &[&str] = &[
    "ac.at", "co.im", "edu.au", "gov.au", "gov.br", "gov.pl", "leg.br", "nc.tr",
];

/// The second-level suffixes of Japan that have no suffixes below them. Prefectures and large cities
/// have.
const JAPANESE_KINDS: &[&str] = &["ac", "ad", "co", "ed", "go", "gr", "lg", "ne", "or"];

/// The top-level domains with three letters or more that have second-level suffixes.
const GENERIC: &[&str] = &["aero", "arpa", "int", "museum", "pro"];

/// Returns true if a domain of several labels is a public suffix. `None` means that this is not
/// known here.
pub(super) fn is_public_suffix(domain: &str) -> Option<bool> {
    const COUNTRY: usize = 2;
    let domain = domain.to_ascii_lowercase();
    let labels: Vec<&str> = domain.rsplit('.').collect();
    let (top, second) = match labels.as_slice() {
        [top, second, ..] => (*top, *second),
        _ => return None,
    };
    if top.len() != COUNTRY {
        let is_unknown = GENERIC.contains(&top) || top.starts_with("xn--");
        return if is_unknown { None } else { Some(false) };
    }
    if labels.len() > 2 {
        return of_more_labels(top, second, labels.len());
    }
    if EVERY.contains(&top) {
        return if second == "www" { None } else { Some(true) };
    }
    if let Some((_, all)) = ALL.iter().find(|(code, _)| *code == top) {
        return Some(all.split(' ').any(|known| known == second));
    }
    let mut some = SOME.iter().filter(|(code, _)| *code == top);
    let is_known = some.any(|(_, some)| some.split(' ').any(|known| known == second));
    is_known.then_some(true)
}

/// Returns the same for a domain of three labels or more.
fn of_more_labels(top: &str, second: &str, count: usize) -> Option<bool> {
    let below = format!("{second}.{top}");
    match top {
        _ if ["sch.uk", "nom.br"].contains(&below.as_str()) => Some(count == 3),
        "jp" if !JAPANESE_KINDS.contains(&second) => None,
        "us" | "no" => None,
        _ if DEEPER.contains(&below.as_str()) => None,
        _ => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffix_is_known_or_not_or_unknown() {
        for (domain, expected) in [
            ("co.uk", Some(true)),
            ("CO.uk", Some(true)),
            ("ltd.uk", Some(true)),
            ("or.jp", Some(true)),
            ("gv.at", Some(true)),
            ("tokyo.jp", Some(true)),
            ("foo.ck", Some(true)),
            ("foo.sch.uk", Some(true)),
            ("example.com", Some(false)),
            ("co.com", Some(false)),
            ("example.de", Some(false)),
            ("co.de", Some(false)),
            ("net.ch", Some(false)),
            ("github.io", Some(false)),
            ("example.co.uk", Some(false)),
            ("example.co.jp", Some(false)),
            ("a.foo.sch.uk", Some(false)),
            ("example.lan", Some(false)),
            ("chiyoda.tokyo.jp", None),
            ("example.jp", None),
            ("example.no", None),
            ("com.nr", None),
            ("airport.aero", None),
            ("k12.ma.us", None),
        ] {
            assert_eq!(is_public_suffix(domain), expected, "{domain}");
        }
    }

    #[test]
    fn country_codes_are_in_order_and_in_one_table() {
        let codes: Vec<&str> = ALL.iter().map(|(code, _)| *code).collect();
        assert!(codes.is_sorted());
        let others = SOME.iter().map(|(code, _)| code).chain(EVERY);
        assert!(others.into_iter().all(|code| !codes.contains(code)));
    }
}
