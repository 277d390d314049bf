// fakegpu is a kubelet device plugin that advertises pretend GPUs as nvidia.com/gpu.
//
// The file -devices lists them, an id a line with the word "unhealthy" after a broken one; it is read again every
// second, so GPUs come, go and break while pods run. A container that asks for some gets NVIDIA_VISIBLE_DEVICES with
// their ids. The plugin registers again whenever the kubelet restarts.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

var (
	file     = flag.String("devices", "", "file that lists the GPUs")
	resource = flag.String("resource", "nvidia.com/gpu", "extended resource name")
	dir      = flag.String("dir", api.DevicePluginPath, "the kubelet's device plugin folder")
)

type plugin struct {
	api.UnimplementedDevicePluginServer
}

func (plugin) GetDevicePluginOptions(context.Context, *api.Empty) (*api.DevicePluginOptions, error) {
	return &api.DevicePluginOptions{}, nil
}

func devices() ([]*api.Device, error) {
	content, err := os.ReadFile(*file)
	if err != nil {
		return nil, err
	}
	var list []*api.Device
	for line := range strings.Lines(string(content)) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		device := &api.Device{ID: words[0], Health: api.Healthy}
		if len(words) > 1 && words[1] == "unhealthy" {
			device.Health = api.Unhealthy
		}
		list = append(list, device)
	}
	return list, nil
}

func (plugin) ListAndWatch(_ *api.Empty, stream api.DevicePlugin_ListAndWatchServer) error {
	for last := ""; ; {
		list, err := devices()
		if err != nil {
			return err
		}
		if now := fmt.Sprint(list); now != last {
			if err := stream.Send(&api.ListAndWatchResponse{Devices: list}); err != nil {
				return err
			}
			last = now
		}
		select {
		case <-stream.Context().Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

func (plugin) Allocate(_ context.Context, r *api.AllocateRequest) (*api.AllocateResponse, error) {
	out := &api.AllocateResponse{}
	for _, c := range r.ContainerRequests {
		ids := strings.Join(c.DevicesIds, ",")
		log.Printf("allocate %s", ids)
		out.ContainerResponses = append(out.ContainerResponses, &api.ContainerAllocateResponse{
			Envs: map[string]string{"NVIDIA_VISIBLE_DEVICES": ids}})
	}
	return out, nil
}

// serve answers on our own socket, registers it and returns when the kubelet has been restarted.
func serve() error {
	kubelet, own := filepath.Join(*dir, "kubelet.sock"), filepath.Join(*dir, "fakegpu.sock")
	before, err := os.Stat(kubelet)
	if err != nil {
		return err
	}
	os.Remove(own)
	listener, err := net.Listen("unix", own)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	api.RegisterDevicePluginServer(server, plugin{})
	go server.Serve(listener)
	defer server.Stop()
	conn, err := grpc.NewClient("unix://"+kubelet, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = api.NewRegistrationClient(conn).Register(context.Background(), &api.RegisterRequest{
		Version: api.Version, Endpoint: filepath.Base(own), ResourceName: *resource})
	if err != nil {
		return err
	}
	log.Printf("registered %s", *resource)
	for {
		time.Sleep(200 * time.Millisecond)
		if _, err := os.Stat(own); err != nil { // a starting kubelet empties the folder
			return err
		}
		if now, err := os.Stat(kubelet); err != nil || !os.SameFile(before, now) {
			return fmt.Errorf("the kubelet restarted")
		}
	}
}

func main() {
	flag.Parse()
	for {
		log.Print(serve())
		time.Sleep(200 * time.Millisecond)
	}
}
