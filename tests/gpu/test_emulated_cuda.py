"""The emulated device answers and refuses as a GPU does."""
import copy
import io

import numpy as np
import pytest
import torch
from torch import nn

from tests.emulated_cuda import EmulatedTensor, emulated_cuda
from tests.emulated_rules import CUDA


def save_and_load(content, **kwargs):
    file = io.BytesIO()
    torch.save(content, file)
    file.seek(0)
    return torch.load(file, **kwargs)


@pytest.mark.parametrize('make', [
    lambda: torch.zeros(3, device='cuda'),
    lambda: torch.tensor([1., 2, 3], device='cuda'),
    lambda: torch.as_tensor(np.ones(3, np.float32), device='cuda:0'),
    lambda: torch.ones(3).cuda(),
    lambda: torch.ones(3).to('cuda'),
    lambda: torch.ones(3).to(CUDA, non_blocking=True),
    lambda: torch.ones(3).to(torch.ones(1, device='cuda')),
    lambda: torch.ones(1, device='cuda').new_zeros(3),
    lambda: torch.ones(1, device='cuda').new_tensor([1., 2, 3]),
    lambda: torch.rand_like(torch.ones(3, device='cuda')),
    lambda: torch.ones(3, device='cuda') * torch.tensor(2.),
    lambda: nn.functional.one_hot(torch.arange(3, device='cuda'))[0].float(),
    lambda: torch.ones(3, device='cuda').data.clone(),
    lambda: torch.ones(5, device='cuda')[torch.arange(3)],
    lambda: torch.arange(6., device='cuda').reshape(2, 3)[-1].cpu().cuda(),
])
def test_tensors_of_the_device(device, make):
    made = make()
    assert isinstance(made, EmulatedTensor) and made.shape == (3, )
    assert made.device == CUDA and made.is_cuda and made.get_device() == 0
    assert type(made.cpu()) is torch.Tensor and not made.cpu().is_cuda
    assert made.to('cuda') is made and made.cuda() is made


def test_values_of_lists_and_in_place_shapes(device):
    values = torch.arange(6., device='cuda').reshape(2, 3)
    assert values[:, [2, 0]].tolist() == [[2, 0], [5, 3]]
    assert values[np.array([1, 1])].tolist() == [[3, 4, 5], [3, 4, 5]]
    values[[1]] = 7
    assert values.tolist() == [[0, 1, 2], [7, 7, 7]]
    assert values.new([1, 2]).tolist() == [1, 2]
    assert values.new(torch.Size([2, 5])).shape == (2, 5)
    ones = [value for value in torch.ones(2, device='cuda')]
    assert torch.tensor(ones, device='cuda').tolist() == [1, 1]
    assert values.new_tensor([ones, ones]).shape == (2, 2)
    assert values.unsqueeze_(0).squeeze_(0).t_().shape == (3, 2)
    assert values.quantile(.5, 0, keepdim=True).tolist() == [[1, 7]]


def on(device):
    return torch.ones(4, 2, device=device)


@pytest.mark.parametrize('fault, message', [
    (lambda: on('cuda') + on('cpu'), 'same device.*add'),
    (lambda: on('cpu').add_(on('cuda')), 'same device'),
    (lambda: torch.tensor(1.).add_(torch.tensor(1., device='cuda')), 'same'),
    (lambda: torch.cat([on('cuda'), on('cpu')]), 'same device.*cat'),
    (lambda: torch.stack([torch.tensor(1.),
                          torch.tensor(1., device='cuda')]), 'same device'),
    (lambda: on('cuda') @ on('cpu').T, 'same device'),
    (lambda: nn.Linear(2, 2)(on('cuda')), 'same device'),
    (lambda: nn.Linear(2, 2).cuda()(on('cpu')), 'same device'),
    (lambda: on('cpu')[torch.arange(2, device='cuda')], 'indices should be'),
    (lambda: on('cuda').gather(0,
                               torch.zeros(1, 2).long()), 'same device'),
    (lambda: on('cuda').masked_fill(on('cpu') > 0, 0), 'same device'),
    (lambda: torch.where(on('cpu') > 0, on('cuda'), 0), 'same device'),
    (lambda: on('cuda').index_put((torch.tensor([0]), ),
                                  on('cpu')[:1]), 'same device'),
    (lambda: torch.rand(3, device='cuda', generator=torch.Generator()),
     "Expected a 'cuda' device type for generator but found 'cpu'"),
    (lambda: torch.rand(3, generator=torch.Generator('cuda')),
     "Expected a 'cpu' device type for generator but found 'cuda'"),
    (lambda: on('cuda').pin_memory(), 'cannot pin'),
    (lambda: torch.zeros(3, device='cuda', pin_memory=True), 'cannot pin'),
])
def test_refusals(device, fault, message):
    with pytest.raises(RuntimeError, match=message):
        fault()


@pytest.mark.parametrize('fault', [
    lambda: on('cuda').numpy(),
    lambda: np.asarray(on('cuda')),
    lambda: np.sqrt(on('cuda')),
    lambda: on('cuda').detach().numpy(),
])
def test_numpy_is_refused(device, fault):
    with pytest.raises(TypeError, match='Use Tensor.cpu'):
        fault()


@pytest.mark.parametrize('act, kinds', [
    (lambda x: x[0].item(), ['scalar']),
    (lambda x: bool((x > 0).all()), ['scalar']),
    (lambda x: int(x[0]), ['scalar']),
    (lambda x: [0] * x.long()[0], ['scalar']),
    (lambda x: x.equal(x), ['scalar']),
    (lambda x: x.tolist(), ['to cpu']),
    (lambda x: x.cpu(), ['to cpu']),
    (lambda x: x.to('cpu', non_blocking=True), []),
    (lambda x: torch.zeros(3).copy_(x), ['to cpu']),
    (lambda x: x.nonzero(), ['shape']),
    (lambda x: x[x > 0], ['shape']),
    (lambda x: torch.repeat_interleave(x.long()), ['shape']),
    (lambda x: torch.repeat_interleave(x.long(), output_size=3), []),
    (lambda x: x[torch.tensor([0])], ['to cuda']),
    (lambda x: torch.tensor(1., device='cuda'), ['to cuda']),
    (lambda x: torch.ones(3).cuda(non_blocking=True), []),
    (lambda x: x.masked_fill(x > 0, 0).sum() * 2, []),
])
def test_waits_are_counted(device, act, kinds):
    values = torch.ones(3, device='cuda')
    device.waits.clear()
    act(values)
    assert [wait.kind for wait in device.waits] == kinds
    assert all('test_emulated_cuda.py' in wait.place for wait in device.waits)


def make_model():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.),
        nn.Linear(8, 2))


def train(model, place, steps=3, scaler=None, **options):
    optimizer = torch.optim.AdamW(model.parameters(), lr=.1, **options)
    inputs = torch.linspace(-1, 1, 12).reshape(4, 3).to(place)
    for _ in range(steps):
        optimizer.zero_grad()
        with torch.autocast(
                'cuda', enabled=scaler is not None and place == 'cuda'):
            loss = model(inputs).square().mean()
        if scaler is None:
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.)
            optimizer.step()
        else:
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            scaler.step(optimizer)
            scaler.update()
    return optimizer


@pytest.mark.parametrize(
    'options',
    [{}, dict(foreach=False), dict(fused=True)])
def test_training_is_that_of_the_cpu(device, options):
    expected = make_model()
    train(expected, 'cpu', **options)
    model = make_model().to('cuda')
    assert all(
        isinstance(p, nn.Parameter) and p.is_cuda for p in model.parameters())
    optimizer = train(model, 'cuda', **options)
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name].cpu(), value)
    moments = optimizer.state[model[0].weight]['exp_avg']
    assert moments.is_cuda and model[0].weight.grad.is_cuda


def test_gradient_scaler(device):
    model = make_model().cuda()
    before = model[0].weight.detach().clone()
    train(model, 'cuda', scaler=torch.amp.GradScaler('cuda'))
    assert not model[0].weight.equal(before)
    assert model[0].weight.isfinite().all()


def test_autocast_has_the_types_of_a_gpu(device):
    x = torch.rand(4, 4, device='cuda')
    half = x.half()
    with torch.autocast('cuda', torch.bfloat16):
        assert (x @ x).dtype == nn.Linear(4, 4).cuda()(x).dtype == (
            torch.bfloat16)
        assert half.softmax(-1).dtype == half.sum().dtype == torch.float32
        assert nn.functional.layer_norm(half, (4, )).dtype == torch.float32
        assert half.softmax(-1, dtype=torch.float16).dtype == torch.float16
        assert (half + half).dtype == torch.float16
        assert half.index_put((torch.zeros(1, device='cuda').long(), ),
                              x[:1]).dtype == torch.float32
        with pytest.raises(RuntimeError, match='unsafe to autocast'):
            nn.functional.binary_cross_entropy(x, x)
    with torch.autocast('cuda'):
        assert (x @ x).dtype == torch.float16
        with torch.autocast('cuda', enabled=False):
            assert (x @ x).dtype == torch.float32
    assert (half @ half).dtype == torch.float16


def test_checkpoints(device):
    model = make_model().cuda()
    optimizer = train(model, 'cuda')
    content = dict(
        state_dict=model.state_dict(), optimizer=optimizer.state_dict())
    for options, place in ((dict(map_location='cpu'), 'cpu'), (dict(), 'cuda'),
                           (dict(map_location='cuda'), 'cuda'),
                           (dict(map_location=lambda s, _: s), 'cpu')):
        loaded = save_and_load(content, weights_only=True, **options)
        for tensor in (*loaded['state_dict'].values(),
                       loaded['optimizer']['state'][0]['exp_avg']):
            assert tensor.device.type == place
    other = make_model().cuda()
    other.load_state_dict(
        save_and_load(content, map_location='cpu')['state_dict'])
    assert other[0].weight.equal(model[0].weight)
    assert not isinstance(save_and_load(model[0].weight.cpu()), EmulatedTensor)


def test_a_checkpoint_of_the_gpu_names_it():
    """So a machine without one refuses to load it as it is."""
    file = io.BytesIO()
    with emulated_cuda():
        torch.save(torch.ones(2, device='cuda'), file)
    file.seek(0)
    with pytest.raises(RuntimeError, match='deserialize object on a CUDA'):
        torch.load(file)
    file.seek(0)
    assert torch.load(file, map_location='cpu').tolist() == [1, 1]


def test_copies(device):
    model = make_model().cuda()
    copied = copy.deepcopy(model)
    assert copied[0].weight is not model[0].weight
    assert isinstance(copied[0].weight, nn.Parameter)
    assert copied[0].weight.equal(model[0].weight)
    with torch.no_grad():
        copied[0].weight.zero_()
    assert model[0].weight.abs().sum() > 0


def test_random_numbers_are_those_of_the_device(device):
    torch.manual_seed(1)
    of_cpu = torch.get_rng_state()
    first = torch.rand(3, device='cuda'), torch.randperm(5, device='cuda')
    assert torch.get_rng_state().equal(of_cpu)
    torch.manual_seed(1)
    assert torch.rand(3, device='cuda').equal(first[0])
    state = torch.cuda.get_rng_state()
    with torch.random.fork_rng(['cuda:0']):
        torch.cuda.manual_seed(5)
        torch.rand(3, device='cuda')
    assert torch.cuda.get_rng_state().equal(state)
    assert torch.randperm(5, device='cuda').equal(first[1])
    generator = torch.Generator('cuda').manual_seed(1)
    assert generator.device == CUDA
    assert torch.rand(3, device='cuda', generator=generator).equal(first[0])
    assert isinstance(torch.default_generator, torch.Generator)


def test_everything_is_restored():

    def find():
        return (torch.cuda.is_available(), torch.cuda.device_count(),
                torch.Generator, torch.load, torch.cuda.is_initialized(),
                torch.serialization._package_registry[0],
                torch._C._only_lift_cpu_tensors(),
                torch._C._is_multithreading_enabled(),
                torch._C._dispatch_dump('aten::softmax.int'),
                torch.__future__.get_swap_module_params_on_conversion())

    before = find()
    with pytest.raises(KeyError), emulated_cuda():
        torch.zeros(3, device='cuda')
        raise KeyError
    assert find() == before
    with pytest.raises((RuntimeError, AssertionError)):
        torch.zeros(3, device='cuda')
    with torch.autocast('cpu', torch.bfloat16):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    x = torch.ones(3, requires_grad=True)
    x.sum().backward()
    assert x.grad.tolist() == [1, 1, 1]
