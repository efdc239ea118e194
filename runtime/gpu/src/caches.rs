//! What is made once and used by many recordings: layouts, pipelines, bind groups.

use std::collections::HashMap;

use crate::Error;
use crate::call::{Binding, Call, Variant};
use crate::gpu::{Shared, locked};
use crate::shader;

/// Bind groups that are kept. Buffers recur from run to run, so that few are made anew unless shapes vary wildly.
const GROUPS: usize = 1 << 14;

/// Bytes of parameters where commands cannot hold them: what the offset of a uniform buffer is a multiple of.
pub(crate) const PARAMETERS: u64 = 256;

#[derive(Default)]
pub(crate) struct Caches {
    /// By which bindings are written.
    layouts: HashMap<Vec<bool>, Layout>,
    pipelines: HashMap<Variant, Pipeline>,
    /// By the layout and the buffers.
    groups: HashMap<(usize, Vec<u64>), wgpu::BindGroup>,
    /// The layout of parameters in a buffer.
    parameters: Option<wgpu::BindGroupLayout>,
}

#[derive(Clone)]
struct Layout {
    number: usize,
    bindings: wgpu::BindGroupLayout,
    pipeline: wgpu::PipelineLayout,
}

/// A compiled variant of a kernel.
#[derive(Clone)]
pub(crate) struct Pipeline {
    pub(crate) raw: wgpu::ComputePipeline,
    layout: Layout,
}

impl Caches {
    /// Drops what refers to a buffer.
    pub(crate) fn forget(&mut self, id: u64) {
        self.groups.retain(|(_, ids), _| !ids.contains(&id));
    }
}

impl Shared {
    /// The pipeline of a call.
    pub(crate) fn pipeline(&self, call: &Call<'_>) -> Result<Pipeline, Error> {
        let mut caches = locked(&self.caches);
        if let Some(pipeline) = caches.pipelines.get(&call.variant) {
            return Ok(pipeline.clone());
        }
        let label = call.variant.to_string();
        let pipeline = self.guarded(&label, 0, || {
            let layout = self.layout(&mut caches, call.bindings());
            let source = shader::source(call, self.capabilities.immediates);
            let module =
                wgpu::ShaderModuleDescriptor { label: Some(&label), source: wgpu::ShaderSource::Wgsl(source.into()) };
            // SAFETY: kernels look at nothing outside of their buffers, of which `Recorder` has checked the lengths, and its
            // callers the ids that they hold; their loops end; and they divide by no zero.
            #[expect(unsafe_code, reason = "checks in the innermost loops cost time")]
            let module =
                unsafe { self.device.create_shader_module_trusted(module, wgpu::ShaderRuntimeChecks::unchecked()) };
            let compilation_options = wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: false,
                ..wgpu::PipelineCompilationOptions::default()
            };
            let raw = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(&label),
                layout: Some(&layout.pipeline),
                module: &module,
                entry_point: Some("main"),
                compilation_options,
                cache: None,
            });
            Pipeline { raw, layout }
        })?;
        caches.pipelines.insert(call.variant.clone(), pipeline.clone());
        Ok(pipeline)
    }

    fn layout(&self, caches: &mut Caches, bindings: &[Binding<'_>]) -> Layout {
        let written: Vec<bool> = bindings.iter().map(|binding| binding.written).collect();
        if let Some(layout) = caches.layouts.get(&written) {
            return layout.clone();
        }
        let entry = |(binding, written): (u32, &bool)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Storage { read_only: !written },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        };
        let entries: Vec<_> = (0..).zip(&written).map(entry).collect();
        let descriptor = wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries };
        let bindings = self.device.create_bind_group_layout(&descriptor);
        let parameters = (!self.capabilities.immediates).then(|| self.parameter_layout(caches));
        let groups: Vec<_> = std::iter::once(Some(&bindings)).chain(parameters.iter().map(Some)).collect();
        let pipeline = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: None,
            bind_group_layouts: &groups,
            immediate_size: if self.capabilities.immediates { self.limits.max_immediate_size.min(128) } else { 0 },
        });
        let layout = Layout { number: caches.layouts.len(), bindings, pipeline };
        caches.layouts.insert(written, layout.clone());
        layout
    }

    fn parameter_layout(&self, caches: &mut Caches) -> wgpu::BindGroupLayout {
        let new = || {
            self.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: Some("parameters"),
                entries: &[wgpu::BindGroupLayoutEntry {
                    binding: 0,
                    visibility: wgpu::ShaderStages::COMPUTE,
                    ty: wgpu::BindingType::Buffer {
                        ty: wgpu::BufferBindingType::Uniform,
                        has_dynamic_offset: true,
                        min_binding_size: None,
                    },
                    count: None,
                }],
            })
        };
        caches.parameters.get_or_insert_with(new).clone()
    }

    /// The bind group of a call.
    pub(crate) fn group(&self, pipeline: &Pipeline, bindings: &[Binding<'_>]) -> Result<wgpu::BindGroup, Error> {
        let key = (pipeline.layout.number, bindings.iter().map(|binding| binding.buffer.id()).collect());
        let mut caches = locked(&self.caches);
        if let Some(group) = caches.groups.get(&key) {
            return Ok(group.clone());
        }
        let entries: Vec<_> = (0..)
            .zip(bindings)
            .map(|(number, binding)| wgpu::BindGroupEntry {
                binding: number,
                resource: binding.buffer.raw().as_entire_binding(),
            })
            .collect();
        let layout = &pipeline.layout.bindings;
        let descriptor = wgpu::BindGroupDescriptor { label: None, layout, entries: &entries };
        let group = self.guarded("a bind group", 0, || self.device.create_bind_group(&descriptor))?;
        if caches.groups.len() >= GROUPS {
            caches.groups.clear();
        }
        caches.groups.insert(key, group.clone());
        Ok(group)
    }

    /// The bind group of a buffer of parameters.
    pub(crate) fn parameter_group(&self, buffer: &wgpu::Buffer) -> Result<wgpu::BindGroup, Error> {
        let mut caches = locked(&self.caches);
        self.guarded("parameters", 0, || {
            let size = std::num::NonZero::new(PARAMETERS);
            let binding = wgpu::BufferBinding { buffer, offset: 0, size };
            let layout = &self.parameter_layout(&mut caches);
            let entries = &[wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(binding) }];
            self.device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout, entries })
        })
    }
}
