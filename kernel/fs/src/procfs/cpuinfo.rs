//! `/proc/cpuinfo`, in the form that programs parse: a block of `name : value` lines for each CPU.

use alloc::string::String;
use alloc::vec::Vec;

use aios_abi::Errno;
use kernel_hal::{cpu, time};

use super::Text;

/// Feature bits by CPUID leaf, subleaf and register (EAX is 0), with Linux's names for them (`cpufeatures.h`), lowest bit
/// first; `_` is a bit without a name.
const FEATURES: [(u32, u32, usize, &str); 7] = [
    (
        1,
        0,
        3,
        "fpu vme de pse tsc msr pae mce cx8 apic _ sep mtrr pge mca cmov pat pse36 pn clflush _ dts acpi mmx fxsr sse \
         sse2 ss ht tm ia64 pbe",
    ),
    (
        0x8000_0001,
        0,
        3,
        "_ _ _ _ _ _ _ _ _ _ _ syscall _ _ _ _ _ _ _ mp nx _ mmxext _ _ fxsr_opt pdpe1gb rdtscp _ lm 3dnowext 3dnow",
    ),
    (
        1,
        0,
        2,
        "pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr pdcm _ pcid dca sse4_1 sse4_2 \
         x2apic movbe popcnt tsc_deadline_timer aes xsave _ avx f16c rdrand hypervisor",
    ),
    (
        0x8000_0001,
        0,
        2,
        "lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop skinit wdt _ lwp \
         fma4 tce",
    ),
    (
        7,
        0,
        1,
        "fsgsbase tsc_adjust sgx bmi1 hle avx2 _ smep bmi2 erms invpcid rtm cqm _ mpx rdt_a avx512f avx512dq rdseed adx \
         smap avx512ifma _ clflushopt clwb intel_pt avx512pf avx512er avx512cd sha_ni avx512bw avx512vl",
    ),
    (
        7,
        0,
        2,
        "_ avx512vbmi umip pku ospke waitpkg avx512_vbmi2 _ gfni vaes vpclmulqdq avx512_vnni avx512_bitalg tme \
         avx512_vpopcntdq _ la57 _ _ _ _ _ rdpid _ bus_lock_detect cldemote _ movdiri movdir64b enqcmd sgx_lc",
    ),
    (0x0d, 1, 0, "xsaveopt xsavec xgetbv1 xsaves"),
];

/// Registers as the text that is in them, up to a NUL.
fn text_of(registers: &[u32], into: &mut String) {
    for byte in registers.iter().flat_map(|register| register.to_le_bytes()) {
        if byte == 0 {
            break;
        }
        into.push(char::from(byte));
    }
}

/// Family, model and stepping (Intel SDM 2A, CPUID, leaf 1 EAX).
fn version(signature: u32) -> (u32, u32, u32) {
    let (family, model) = (signature >> 8 & 0xf, signature >> 4 & 0xf);
    let full_family = if family == 0xf { family + (signature >> 20 & 0xff) } else { family };
    let full_model = if family >= 6 { model | (signature >> 16 & 0xf) << 4 } else { model };
    (full_family, full_model, signature & 0xf)
}

fn flags() -> String {
    let mut flags = String::new();
    for (leaf, subleaf, register, names) in FEATURES {
        let bits = cpu::identification(leaf, subleaf).get(register).copied().unwrap_or(0);
        for (bit, name) in names.split_ascii_whitespace().enumerate() {
            if bits >> bit & 1 != 0 && name != "_" {
                flags.push(' ');
                flags.push_str(name);
            }
        }
    }
    flags
}

/// Ticks of the time stamp counter in a microsecond, and the thousandths of one more.
fn megahertz() -> (u64, u64) {
    let kilohertz = time::counter_hz() / 1000;
    (kilohertz / 1000, kilohertz % 1000)
}

pub(super) fn text() -> Result<Vec<u8>, Errno> {
    let zero = cpu::identification(0, 0);
    let mut vendor = String::new();
    // EBX, EDX, ECX, in this order.
    text_of(&[zero[1], zero[3], zero[2]], &mut vendor);
    let mut brand = String::new();
    for leaf in 0x8000_0002..=0x8000_0004 {
        text_of(&cpu::identification(leaf, 0), &mut brand);
    }
    let (family, model, stepping) = version(cpu::identification(1, 0)[0]);
    let flags = flags();
    let (mhz, thousandths) = megahertz();
    let sizes = cpu::identification(0x8000_0008, 0)[0];
    let sizes = if sizes == 0 { 36 | 32 << 8 } else { sizes };
    let mut text = Text::new();
    for number in 0..cpu::count() {
        text.put(format_args!(
            "processor\t: {number}\nvendor_id\t: {vendor}\ncpu family\t: {family}\nmodel\t\t: {model}\n\
             model name\t: {}\nstepping\t: {stepping}\ncpu MHz\t\t: {mhz}.{thousandths:03}\n\
             physical id\t: 0\nsiblings\t: {count}\ncore id\t\t: {number}\ncpu cores\t: {count}\n\
             apicid\t\t: {number}\nfpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: {}\nwp\t\t: yes\n\
             flags\t\t:{flags}\nbogomips\t: {}.{:02}\nclflush size\t: 64\ncache_alignment\t: 64\n\
             address sizes\t: {} bits physical, {} bits virtual\npower management:\n\n",
            brand.trim(),
            zero[0],
            mhz * 2,
            thousandths / 5,
            sizes & 0xff,
            sizes >> 8 & 0xff,
            count = cpu::count(),
        ))?;
    }
    Ok(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_at_their_bits() {
        let bit = |index: usize, name: &str| FEATURES[index].3.split_ascii_whitespace().position(|known| known == name);
        assert_eq!(bit(0, "sse2"), Some(26));
        assert_eq!(bit(0, "pbe"), Some(31));
        assert_eq!(bit(1, "syscall"), Some(11));
        assert_eq!(bit(1, "lm"), Some(29));
        assert_eq!(bit(2, "avx"), Some(28));
        assert_eq!(bit(2, "hypervisor"), Some(31));
        assert_eq!(bit(3, "abm"), Some(5));
        assert_eq!(bit(4, "avx2"), Some(5));
        assert_eq!(bit(4, "avx512vl"), Some(31));
        assert_eq!(bit(5, "umip"), Some(2));
        assert_eq!(bit(5, "la57"), Some(16));
        assert_eq!(bit(5, "movdir64b"), Some(28));
        assert!(FEATURES.iter().all(|(.., names)| names.split_ascii_whitespace().count() <= 32));
    }

    #[test]
    fn versions_are_put_together_as_intel_says() {
        assert_eq!(version(0x000a_0671), (6, 167, 1));
        assert_eq!(version(0x00a2_0f12), (25, 33, 2));
        assert_eq!(version(0x0000_0f29), (15, 2, 9));
    }
}
