//! The methods, each in its own file, and the table of their names.

mod adversarial;
mod bicycle_gan;
mod ddrm;
mod divco;
mod dncnn;
mod imle;
mod inst_colorization;
mod mean;
mod monce;
mod msgan;
mod ndm;
mod pairs;
mod rfb_esrgan;

use chimle_kernels::TrainingBackend;
use serde::de::DeserializeOwned;

use crate::context::Context;
use crate::error::Error;
use crate::method::Method;

pub use bicycle_gan::{BicycleGan, BicycleGanSettings};
pub use ddrm::{Ddrm, DdrmSettings};
pub use divco::{Divco, DivcoSettings};
pub use dncnn::{Dncnn, DncnnSettings};
pub use imle::{ChimleSettings, CimleSettings, Imle, Schedule};
pub use inst_colorization::{InstColorization, InstColorizationSettings};
pub use mean::{Mean, MeanSettings};
pub use monce::{Monce, MonceSettings};
pub use msgan::{Msgan, MsganSettings};
pub use ndm::{Ndm, NdmSettings};
pub use rfb_esrgan::{RfbEsrgan, RfbEsrganSettings};

/// A function that makes a method from its section of the configuration.
pub type Maker<B> =
    Box<dyn Fn(&toml::Table, &Context<B>) -> Result<Box<dyn Method>, Error> + Send + Sync>;

/// The methods that can take part, by name.
///
/// # Examples
///
/// ```
/// use burn::backend::Autodiff;
/// use burn_flex::Flex;
/// use chimle_arena::Methods;
///
/// let methods = Methods::<Autodiff<Flex>>::built_in();
/// assert!(methods.names().any(|name| name == "chimle"));
/// ```
pub struct Methods<B: TrainingBackend> {
    makers: Vec<(String, Maker<B>)>,
}

impl<B: TrainingBackend> Methods<B> {
    /// Creates an empty table of methods.
    pub fn none() -> Self {
        Self { makers: Vec::new() }
    }

    /// Returns the methods of this crate.
    pub fn built_in() -> Self {
        Self::none()
            .with("chimle", |settings, context| {
                Ok(Box::new(Imle::chimle(context, read_settings(settings)?)?))
            })
            .with("cimle", |settings, context| {
                Ok(Box::new(Imle::cimle(context, read_settings(settings)?)?))
            })
            .with("bicycle-gan", |settings, context| {
                Ok(Box::new(BicycleGan::new(context, read_settings(settings)?)))
            })
            .with("msgan", |settings, context| {
                Ok(Box::new(Msgan::new(context, read_settings(settings)?)))
            })
            .with("divco", |settings, context| {
                Ok(Box::new(Divco::new(context, read_settings(settings)?)?))
            })
            .with("monce", |settings, context| {
                let vgg16 = context.load_vgg16("monce")?;
                Ok(Box::new(Monce::new(
                    context,
                    read_settings(settings)?,
                    vgg16,
                )))
            })
            .with("ndm", |settings, context| {
                Ok(Box::new(Ndm::new(context, read_settings(settings)?)?))
            })
            .with("ddrm", |settings, context| {
                Ok(Box::new(Ddrm::new(context, read_settings(settings)?)?))
            })
            .with("rfb-esrgan", |settings, context| {
                let vgg16 = context.load_vgg16("rfb-esrgan")?;
                Ok(Box::new(RfbEsrgan::new(
                    context,
                    read_settings(settings)?,
                    vgg16,
                )?))
            })
            .with("inst-colorization", |settings, context| {
                Ok(Box::new(InstColorization::new(
                    context,
                    read_settings(settings)?,
                )?))
            })
            .with("dncnn", |settings, context| {
                Ok(Box::new(Dncnn::new(context, read_settings(settings)?)?))
            })
            .with("mean", |settings, context| {
                Ok(Box::new(Mean::new(context, read_settings(settings)?)))
            })
    }

    /// Adds a method. It replaces a method of the same name.
    pub fn with(
        mut self,
        name: impl Into<String>,
        maker: impl Fn(&toml::Table, &Context<B>) -> Result<Box<dyn Method>, Error>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let name = name.into();
        self.makers.retain(|(known, _)| *known != name);
        self.makers.push((name, Box::new(maker)));
        self
    }

    /// Returns the names, in the order in which results are shown.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.makers.iter().map(|(name, _)| name.as_str())
    }

    /// Makes a method with fresh weights.
    ///
    /// # Errors
    ///
    /// If there is no method with this name, its settings are not valid, or the method does not fit
    /// the context.
    pub fn make(
        &self,
        kind: &str,
        settings: &toml::Table,
        context: &Context<B>,
    ) -> Result<Box<dyn Method>, Error> {
        let maker = self.makers.iter().find(|(name, _)| name == kind);
        let Some((_, maker)) = maker else {
            let known: Vec<&str> = self.names().collect();
            let reason = format!("is not a method: the methods are {}", known.join(", "));
            return Err(Error::setting(format!("methods.{kind}"), reason));
        };
        let named = |field: &str| format!("methods.{kind}.{field}");
        maker(settings, context).map_err(|error| match error {
            Error::Setting { field, reason } if !field.contains('.') => Error::Setting {
                field: named(&field),
                reason,
            },
            other => other,
        })
    }
}

/// Reads the settings of a method. Absent settings have their defaults.
///
/// # Errors
///
/// If a key is unknown, or a value has the wrong type.
pub fn read_settings<S: DeserializeOwned>(settings: &toml::Table) -> Result<S, Error> {
    settings
        .clone()
        .try_into()
        .map_err(|error: toml::de::Error| {
            Error::setting("settings", format!("cannot be used: {}", error.message()))
        })
}
