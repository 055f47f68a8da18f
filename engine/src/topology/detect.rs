//! Ways to a [`Machine`]: this one, or one from a description.

use super::cpuset::CpuSet;
use super::draft::Draft;
use super::error::TopologyError;
use super::machine::{Machine, Source};
use super::{hwloc, synthetic, sysfs, xml};
use crate::sys::{affinity, descriptor};
use std::io::Read;
use std::path::Path;

/// The environment variable that selects the source for [`Machine::detect`]: `hwloc`, `sysfs`, or the path of
/// a file in hwloc's XML format. If it is unset or empty: libhwloc if available, else `/sys`, else the
/// affinity mask alone.
pub const TOPOLOGY_VARIABLE: &str = "PHALANX_TOPOLOGY";

/// Topology files up to this size are read; the largest one in hwloc's test suite has 4 MB.
const MAX_XML_BYTES: u64 = 64 << 20;

/// Variables with which hwloc describes another machine than this one.
const FOREIGN: [&str; 4] = ["HWLOC_XMLFILE", "HWLOC_SYNTHETIC", "HWLOC_FSROOT", "HWLOC_CPUID_PATH"];

impl Machine {
    /// Describes this machine: through libhwloc if it can be loaded, else from `/sys`, else from the affinity
    /// mask.
    ///
    /// The environment variable `PHALANX_TOPOLOGY` ([`TOPOLOGY_VARIABLE`]) forces one source. The result
    /// covers the whole machine, including PUs that this process may not use; see [`Limits`](super::Limits)
    /// for those. Takes some milliseconds and is not cached, so keep the result.
    ///
    /// # Errors
    /// - The error of the forced source, if one is forced.
    /// - [`TopologyError::NoPu`] if no information about CPUs is available.
    ///
    /// # Examples
    /// ```
    /// let machine = phalanx::topology::Machine::detect()?;
    /// assert!(!machine.pus().is_empty());
    /// println!("{machine}");
    /// # Ok::<(), phalanx::topology::TopologyError>(())
    /// ```
    pub fn detect() -> Result<Self, TopologyError> {
        match std::env::var_os(TOPOLOGY_VARIABLE) {
            Some(choice) if choice == "hwloc" => Self::from_hwloc(),
            Some(choice) if choice == "sysfs" => Self::from_sysfs(Path::new("/")),
            Some(choice) if !choice.is_empty() => Self::from_xml_file(Path::new(&choice)),
            _ => Self::from_best_source(),
        }
    }

    fn from_best_source() -> Result<Self, TopologyError> {
        let no_hwloc = match Self::from_hwloc() {
            Ok(machine) => return Ok(machine),
            Err(error) => error,
        };
        let mut machine = match Self::from_sysfs(Path::new("/")) {
            Ok(machine) => machine,
            Err(no_sysfs) => {
                let mut machine = Self::from_affinity_mask()?;
                machine.notes.push(no_sysfs.to_string());
                machine
            }
        };
        if !matches!(no_hwloc, TopologyError::NoLibrary { .. }) {
            machine.notes.push(no_hwloc.to_string());
        }
        Ok(machine)
    }

    /// Describes this machine through libhwloc, loaded at run time.
    ///
    /// # Errors
    /// - [`TopologyError::NoLibrary`] if no libhwloc 2 or later can be loaded.
    /// - [`TopologyError::Library`] if one of its calls fails.
    /// - Any error of [`Machine::from_xml`] for the exported XML.
    pub fn from_hwloc() -> Result<Self, TopologyError> {
        let (text, library) = hwloc::export(hwloc::Subject::ThisMachine)?;
        let mut machine = xml::read(&text, Source::Hwloc(library))?;
        for name in FOREIGN.iter().filter(|name| std::env::var_os(name).is_some()) {
            machine.notes.push(format!("{name} is set, so libhwloc may describe another machine"));
        }
        Ok(machine)
    }

    /// Reads a topology in hwloc's XML format, version 2 or 3, as exported by `lstopo --of xml` or any
    /// program that uses hwloc. Does not need libhwloc.
    ///
    /// # Errors
    /// - [`TopologyError::Xml`] if the text is not a topology.
    /// - [`TopologyError::Version`] if hwloc 1 wrote it.
    /// - [`TopologyError::Set`], [`TopologyError::NoPu`], [`TopologyError::TooLarge`] if its CPUs are
    ///   invalid.
    ///
    /// # Examples
    /// ```
    /// use phalanx::topology::Machine;
    /// let machine = Machine::from_xml(
    ///     r#"<topology version="2.0">
    ///          <object type="Machine" cpuset="0x3">
    ///            <object type="PU" os_index="0" cpuset="0x1"/>
    ///            <object type="PU" os_index="1" cpuset="0x2"/>
    ///          </object>
    ///        </topology>"#,
    /// )?;
    /// assert_eq!(machine.cpuset().to_string(), "0-1");
    /// # Ok::<(), phalanx::topology::TopologyError>(())
    /// ```
    #[doc(alias = "hwloc_topology_set_xml")]
    pub fn from_xml(text: &str) -> Result<Self, TopologyError> {
        xml::read(text, Source::Xml)
    }

    /// Reads a file in hwloc's XML format; see [`Machine::from_xml`].
    ///
    /// # Errors
    /// [`TopologyError::Io`] if the file cannot be read as text, and the errors of [`Machine::from_xml`].
    pub fn from_xml_file(path: &Path) -> Result<Self, TopologyError> {
        let io = |source| TopologyError::Io { path: path.to_path_buf(), source };
        let file = descriptor::open_to_read(path).map_err(io)?;
        let mut text = String::new();
        let len = file.take(MAX_XML_BYTES + 1).read_to_string(&mut text).map_err(io)?;
        if len as u64 > MAX_XML_BYTES {
            return Err(TopologyError::TooLarge {
                what: "bytes of topology XML",
                limit: MAX_XML_BYTES as usize,
            });
        }
        Self::from_xml(&text)
    }

    /// Reads the description below `root/sys`. Use `/` for this machine or the path of a recorded tree.
    ///
    /// # Errors
    /// [`TopologyError::NoPu`] if no CPU is listed; everything else may be missing.
    pub fn from_sysfs(root: &Path) -> Result<Self, TopologyError> {
        sysfs::read(root)
    }

    /// Creates a machine from a description in the style of hwloc's synthetic topologies.
    ///
    /// Levels are listed from the outside in, each as `name:count` with the count per parent: `package`,
    /// `die` and `group` (both only multiply), `numa`, `l4` to `l1`, `core`, `pu`. `[numa]` attaches a memory
    /// node to each object of the preceding level. Attributes are given in parentheses:
    /// `numa:2(memory=16GiB)` (default 1 GiB, 0 for a node without memory), `l3:1(size=32MiB)`,
    /// `pu:2(indexes=0,4,1,5)` for the operating-system indices.
    ///
    /// # Errors
    /// - [`TopologyError::Synthetic`] with the invalid part.
    /// - [`TopologyError::TooLarge`] for more than [`CpuSet::LIMIT`] PUs.
    ///
    /// # Examples
    /// ```
    /// use phalanx::topology::Machine;
    /// let machine = Machine::from_synthetic("package:2 numa:1(memory=16GiB) l3:1 core:4 pu:2")?;
    /// assert_eq!(machine.nodes()[1].cpuset.to_string(), "8-15");
    /// # Ok::<(), phalanx::topology::TopologyError>(())
    /// ```
    #[doc(alias = "hwloc_topology_set_synthetic")]
    pub fn from_synthetic(text: &str) -> Result<Self, TopologyError> {
        synthetic::read(text)
    }

    /// A machine of which only the usable PUs are known, each counted as a core of its own.
    fn from_affinity_mask() -> Result<Self, TopologyError> {
        let pus = affinity::affinity().map(CpuSet::from_words).unwrap_or_default();
        Draft { pus, ..Draft::default() }.finish(Source::AffinityMask, "the affinity mask")
    }
}
