//! The published files of weights that chimle uses.

/// A file on its publisher's site.
pub struct Published {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is used for.
    pub purpose: &'static str,
    /// Its name in the cache.
    pub file: &'static str,
    pub url: &'static str,
    pub bytes: u64,
    /// In hexadecimal digits.
    pub sha256: &'static str,
    /// As its publisher states it.
    pub license: &'static str,
}

/// torchvision's page on its weights says that they may have terms of their own, from the data they were trained on.
const UNSTATED: &str = "none stated; trained on ImageNet";
const BSD: &str = "BSD 2-Clause";

pub const CATALOG: [Published; 7] = [
    Published {
        name: "vgg16",
        purpose: "LPIPS on VGG16, in training and to measure: --perceptual",
        file: "vgg16-397923af.pth",
        url: "https://download.pytorch.org/models/vgg16-397923af.pth",
        bytes: 553_433_881,
        sha256: "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        license: UNSTATED,
    },
    Published {
        name: "lpips-vgg16",
        purpose: "the learned weights of LPIPS on VGG16: --lpips",
        file: "lpips_v0.1_vgg.pth",
        url: "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1/vgg.pth",
        bytes: 7_289,
        sha256: "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
        license: BSD,
    },
    Published {
        name: "alexnet",
        purpose: "LPIPS on AlexNet: --backbone alexnet --perceptual",
        file: "alexnet-owt-7be5be79.pth",
        url: "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        bytes: 244_408_911,
        sha256: "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
        license: UNSTATED,
    },
    Published {
        name: "lpips-alexnet",
        purpose: "the learned weights of LPIPS on AlexNet: --lpips",
        file: "lpips_v0.1_alex.pth",
        url: "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1/alex.pth",
        bytes: 6_009,
        sha256: "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
        license: BSD,
    },
    Published {
        name: "squeezenet",
        purpose: "LPIPS on SqueezeNet 1.1: --backbone squeezenet --perceptual",
        file: "squeezenet1_1-b8a52dc0.pth",
        url: "https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth",
        bytes: 4_958_839,
        sha256: "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
        license: UNSTATED,
    },
    Published {
        name: "lpips-squeezenet",
        purpose: "the learned weights of LPIPS on SqueezeNet 1.1: --lpips",
        file: "lpips_v0.1_squeeze.pth",
        url: "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1/squeeze.pth",
        bytes: 10_811,
        sha256: "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76",
        license: BSD,
    },
    Published {
        name: "inception",
        purpose: "FID, KID, precision and recall: --fid-weights",
        file: "pt_inception-2015-12-05-6726825d.pth",
        url: "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
        bytes: 95_628_359,
        sha256: "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        license: "Apache 2.0",
    },
];

/// Returns the entry with this name.
pub fn find(name: &str) -> Option<&'static Published> {
    CATALOG.iter().find(|published| published.name == name)
}

/// Parses a name given on the command line.
pub fn parse(name: &str) -> Result<&'static Published, String> {
    find(name).ok_or_else(|| {
        let names: Vec<&str> = CATALOG.iter().map(|published| published.name).collect();
        format!("must be one of {}", names.join(", "))
    })
}

/// Formats a number of bytes in decimal units, as publishers do.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        _ => format!("{:.0} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// torchvision and pytorch-fid put the beginning of the checksum into the file's name.
    #[test]
    fn checksums_begin_as_the_file_names_say() {
        for published in &CATALOG {
            assert_eq!(published.sha256.len(), 64, "{}", published.name);
            let stem = published.file.trim_end_matches(".pth");
            if !stem.starts_with("lpips") {
                let (_, digits) = stem.rsplit_once('-').expect("a checksum in the name");
                assert!(published.sha256.starts_with(digits), "{}", published.name);
                assert!(published.url.ends_with(published.file));
            }
        }
    }

    #[test]
    fn a_wrong_name_is_told_the_right_ones() {
        let reason = parse("vgg19").err().expect("no such weights");
        assert!(reason.contains("vgg16, lpips-vgg16"), "{reason}");
    }
}
