// The passes over large tensors that training on the CPU consists of, in float32 and float64.
//
// Tensors are contiguous, images channels_last. A batch is cut at places that depend on its size alone, and what its
// parts add up is added in their order: results do not depend on the number of threads.

#include <cmath>

#include "depthwise.h"

struct Geometry {
  Int images, channels, height, width, out_height, out_width;
  Int kernel, stride, dilation;  // a kernel of 0: no convolution

  Int in() const { return height * width * channels; }
  Int pixels() const { return out_height * out_width; }
  Int out() const { return pixels() * channels; }
  Plan forward() const {
    return {forward_reads(height, out_height, kernel, stride, dilation), forward_reads(width, out_width, kernel, stride, dilation)};
  }
  Plan backward() const {
    return {backward_reads(height, out_height, kernel, stride, dilation), backward_reads(width, out_width, kernel, stride, dilation)};
  }
};

constexpr Int PARTS = 16;

// Calls body(part, first, last) for every part of `count` images or rows.
template <class Body>
void in_parts(Int count, int threads, Body body) {
  const Int parts = std::min(PARTS, count);
#pragma omp parallel for num_threads(threads) if (threads > 1)
  for (Int part = 0; part < parts; ++part) body(part, part * count / parts, (part + 1) * count / parts);
}

// Sums of every part, and in the end of all.
template <class T>
struct Sums {
  T* total;
  Int size;
  std::vector<T> parts;

  Sums(T* total, Int size) : total(total), size(size), parts(total ? PARTS * size : 0) {}
  T* of(Int part) { return total ? parts.data() + part * size : nullptr; }
  ~Sums() {
    if (!total) return;
    std::copy(parts.begin(), parts.begin() + size, total);
    for (Int part = 1; part < PARTS; ++part)
      for (Int i = 0; i < size; ++i) total[i] += parts[part * size + i];
  }
};

// taps [k * k, C] of a kernel [C, k * k], and the other way round
template <class T>
std::vector<T> turned(const T* from, Int rows, Int columns) {
  std::vector<T> to(from ? rows * columns : 0);
  for (Int i = 0; i < Int(to.size()); ++i) to[i] = from[i % rows * columns + i / rows];
  return to;
}

// out = depthwise(x); if asked for, the sum of its rows [C], and of their products [C, C]
template <class T>
void convolve(const Geometry& g, const T* x, const T* kernel, T* out, T* cross, T* sum, int threads) {
  const Plan plan = g.forward();
  const std::vector<T> taps = turned(kernel, g.channels, g.kernel * g.kernel);
  Sums<T> crosses(cross, g.channels * g.channels), sums(sum, g.channels);
  in_parts(g.images, threads, [&](Int part, Int first, Int last) {
    for (Int image = first; image < last; ++image) {
      T* to = out + image * g.out();
      gather<T>({to, g.out_height, g.out_width}, {x + image * g.in(), g.height, g.width}, g.channels, taps.data(), g.kernel, plan);
      if (cross) add_cross<T>(crosses.of(part), to, g.channels, to, g.channels, g.pixels());
      if (sum) add_sum<T>(sums.of(part), to, g.channels, g.pixels());
    }
  });
}

// total [height, width] = left [rows, height] transposed times right [rows, width]; the sum of right's rows, if asked for
template <class T>
void cross(Int rows, Int height, Int width, const T* left, const T* right, T* total, T* sum, int threads) {
  Sums<T> crosses(total, height * width), sums(sum, width);
  in_parts(rows, threads, [&](Int part, Int first, Int last) {
    for (Int start = first, end; start < last; start = end) {  // short enough to stay near
      end = std::min<Int>(last, start + 256);
      if (total) add_cross<T>(crosses.of(part), left + start * height, height, right + start * width, width, end - start);
      if (sum) add_sum<T>(sums.of(part), right + start * width, width, end - start);
    }
  });
}

// out [rows, width] = activated(shift + sum of rows [rows, inner] times matrix [inner, width] (+ out, where `add`))
template <class T>
void multiply(Int rows, Int width, Int count, const Product<T>* terms, const T* shift, T* out, bool add, T limit, int threads) {
  in_parts(rows, threads, [&](Int, Int first, Int last) {
    for (Int start = first, end; start < last; start = end) {
      end = std::min<Int>(last, start + 64);
      products<T>(out + start * width, end - start, width, terms, int(count), start, shift, add, limit);
    }
  });
}

// The gradients of a depthwise convolution under a pull on its output: of x, of the kernel, where asked for.
template <class T>
void gradients(const Geometry& g, const T* pull, const T* x, const T* kernel, T* of_x, T* of_kernel, int threads) {
  const Plan plan = g.backward();
  const Int size = g.kernel * g.kernel;
  const std::vector<T> taps = turned(kernel, g.channels, size);
  std::vector<T> of_taps(size * g.channels);
  {
    Sums<T> all_taps(of_kernel ? of_taps.data() : nullptr, size * g.channels);
    in_parts(g.images, threads, [&](Int part, Int first, Int last) {
      for (Int image = first; image < last; ++image) {
        const Image<const T> pulled{pull + image * g.out(), g.out_height, g.out_width};
        const Image<const T> read{x + image * g.in(), g.height, g.width};
        if (of_kernel) add_taps<T>(all_taps.of(part), pulled, read, g.channels, g.kernel, g.stride, g.dilation);
        if (of_x) gather<T>({of_x + image * g.in(), g.height, g.width}, pulled, g.channels, taps.data(), g.kernel, plan);
      }
    });
  }
  if (of_kernel) std::ranges::copy(turned(of_taps.data(), size, g.channels), of_kernel);
}

// ---- a unit: a depthwise convolution or none, a pointwise one of weight W [D, C], a BatchNorm. With rows y of what the
// second reads, m = mean(y) and V = cov(y), it gives (y - m) * A, A = s * transposed W, s = 1 / sqrt(diag(W V W') + eps).

// What the backward pass has to know of the rows, one after the other in memory.
template <class T>
struct Known {
  T *mean, *spread, *scale;  // [C], [C, C], [D]
  Known(T* memory, Int channels) : mean(memory), spread(memory + channels), scale(memory + channels + channels * channels) {}
};

// Gives y where there is a kernel, what is known of it, gate * A [C, D] and -m * gate * A [D]; moves the running statistics.
template <class T>
void enter(const Geometry& g, Int width, const T* x, const T* kernel, const T* weight, T eps, T gate, T* running_mean, T* running_var,
           T momentum, T* y, T* memory, T* matrix, T* offset, int threads) {
  const Int c = g.channels, count = g.images * g.pixels();
  const Known<T> known(memory, c);
  if (kernel)
    convolve<T>(g, x, kernel, y, known.spread, known.mean, threads);
  else
    cross<T>(count, c, c, x, x, known.spread, known.mean, threads);
  for (Int i = 0; i < c; ++i) known.mean[i] /= count;
  for (Int i = 0; i < c; ++i)
    for (Int j = 0; j < c; ++j) known.spread[i * c + j] = known.spread[i * c + j] / count - known.mean[i] * known.mean[j];
  std::vector<T> along(width * c);  // W V
  const Product<T> product{weight, known.spread, c};
  products<T>(along.data(), width, c, &product, 1, 0, nullptr, false, T(0));
  for (Int d = 0; d < width; ++d) {
    const T* w = weight + d * c;
    T variance = 0, mean = 0;
    for (Int i = 0; i < c; ++i) variance += along[d * c + i] * w[i], mean += w[i] * known.mean[i];
    variance = std::max(variance, T(0));
    known.scale[d] = 1 / std::sqrt(variance + eps);
    for (Int i = 0; i < c; ++i) matrix[i * width + d] = w[i] * known.scale[d] * gate;
    offset[d] = -mean * known.scale[d] * gate;
    if (running_mean) running_mean[d] += momentum * (mean - running_mean[d]);
    if (running_var) running_var[d] += momentum * (variance * count / (count - 1) - running_var[d]);
  }
}

// The gradients of a unit under a pull on gate * (y - m) * A [N, D], of mean `pull_mean`: `along` is that of the gate, the
// others are of kernel and weight, and of x into of_x, `add`ed to what is there. Where x is the output of an activation,
// of_x is the pull on its input, and x_mean the mean of that [C].
template <class T>
void leave(const Geometry& g, Int width, const T* pull, const T* pull_mean, T gate, const T* x, const T* kernel, const T* y, const T* weight,
           T* memory, T* along, T* of_x, bool add, T limit, T* x_mean, T* of_kernel, T* of_weight, int threads) {
  const Int c = g.channels, count = g.images * g.pixels(), size = g.kernel * g.kernel;
  const Known<T> known(memory, c);
  std::vector<T> across(width * c), scaled(width * c), bent(width * c), bend(c * c), shift(c);
  cross<T>(count, width, c, pull, y, across.data(), nullptr, threads);
  *along = 0;
  for (Int d = 0; d < width; ++d) {
    T its = 0;
    for (Int i = 0; i < c; ++i) {
      across[d * c + i] -= pull_mean[d] * known.mean[i] * count;
      its += across[d * c + i] * weight[d * c + i];
    }
    its *= known.scale[d];
    *along += its;
    for (Int i = 0; i < c; ++i) {
      scaled[d * c + i] = weight[d * c + i] * known.scale[d] * gate;
      bent[d * c + i] = weight[d * c + i] * known.scale[d] * its / -count;
      shift[i] -= scaled[d * c + i] * pull_mean[d];
    }
  }
  add_cross<T>(bend.data(), scaled.data(), c, bent.data(), c, width);
  for (Int i = 0; i < c; ++i)
    for (Int j = 0; j < c; ++j) shift[j] -= known.mean[i] * bend[i * c + j];
  if (of_weight) {
    const Product<T> product{bent.data(), known.spread, c};
    products<T>(of_weight, width, c, &product, 1, 0, nullptr, false, T(0));
    for (Int d = 0; d < width; ++d)
      for (Int i = 0; i < c; ++i) {
        T& its = of_weight[d * c + i];
        its = (across[d * c + i] + its * count) * known.scale[d] * gate;
      }
  }
  if (!of_x && !of_kernel) return;
  const Plan plan = g.backward();
  const std::vector<T> taps = turned(kernel, c, size);
  std::vector<T> of_taps(size * c);
  const Product<T> terms[] = {{pull, scaled.data(), width}, {y, bend.data(), c}};
  {
    Sums<T> sums(x_mean, c), all_taps(of_kernel ? of_taps.data() : nullptr, size * c);
    in_parts(g.images, threads, [&](Int part, Int first, Int last) {
      std::vector<T> its(g.out());  // the pull on y
      for (Int image = first; image < last; ++image) {
        products<T>(its.data(), g.pixels(), c, terms, 2, image * g.pixels(), shift.data(), false, T(0));
        const Image<const T> pulled{its.data(), g.out_height, g.out_width}, read{x + image * g.in(), g.height, g.width};
        const T* passed = limit > 0 ? read.pixels : nullptr;
        if (of_kernel) add_taps<T>(all_taps.of(part), pulled, read, c, g.kernel, g.stride, g.dilation);
        if (of_x && kernel)
          gather<T>({of_x + image * g.in(), g.height, g.width}, pulled, c, taps.data(), g.kernel, plan, passed, limit, add, sums.of(part));
        else if (of_x)
          finish<T>(of_x + image * g.in(), its.data(), g.pixels(), c, passed, limit, add, sums.of(part));
      }
    });
  }
  if (x_mean)
    for (Int i = 0; i < c; ++i) x_mean[i] /= g.images * g.height * g.width;
  if (of_kernel) std::ranges::copy(turned(of_taps.data(), size, c), of_kernel);
}

#define EXPORTED(T, NAME)                                                                                                        \
  extern "C" void convolve_##NAME(const Geometry* g, const T* x, const T* kernel, T* out, int threads) {                         \
    convolve<T>(*g, x, kernel, out, nullptr, nullptr, threads);                                                                  \
  }                                                                                                                              \
  extern "C" void gradients_##NAME(const Geometry* g, const T* pull, const T* x, const T* kernel, T* of_x, T* of_kernel,         \
                                   int threads) {                                                                                \
    gradients<T>(*g, pull, x, kernel, of_x, of_kernel, threads);                                                                 \
  }                                                                                                                              \
  extern "C" void cross_##NAME(Int rows, Int height, Int width, const T* left, const T* right, T* total, T* sum, int threads) {  \
    cross<T>(rows, height, width, left, right, total, sum, threads);                                                             \
  }                                                                                                                              \
  extern "C" void multiply_##NAME(Int rows, Int width, Int count, const Product<T>* terms, const T* shift, T* out, int add,      \
                                  T limit, int threads) {                                                                        \
    multiply<T>(rows, width, count, terms, shift, out, add, limit, threads);                                                     \
  }                                                                                                                              \
  extern "C" void enter_##NAME(const Geometry* g, Int width, const T* x, const T* kernel, const T* weight, T eps, T gate,        \
                               T* running_mean, T* running_var, T momentum, T* y, T* memory, T* matrix, T* offset, int threads) { \
    enter<T>(*g, width, x, kernel, weight, eps, gate, running_mean, running_var, momentum, y, memory, matrix, offset, threads);  \
  }                                                                                                                              \
  extern "C" void leave_##NAME(const Geometry* g, Int width, const T* pull, const T* pull_mean, T gate, const T* x,              \
                               const T* kernel, const T* y, const T* weight, T* memory, T* along, T* of_x, int add, T limit,     \
                               T* x_mean, T* of_kernel, T* of_weight, int threads) {                                             \
    leave<T>(*g, width, pull, pull_mean, gate, x, kernel, y, weight, memory, along, of_x, add, limit, x_mean, of_kernel,         \
             of_weight, threads);                                                                                                \
  }

EXPORTED(float, float32)
EXPORTED(double, float64)
